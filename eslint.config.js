// Rules for the scripts of the pages, which browsers load as modules without a build step.

import js from "@eslint/js";
import globals from "globals";

export default [
  {
    files: ["picasso/static/*.js"],
    ...js.configs.recommended,
    languageOptions: { globals: globals.browser },
    rules: {
      ...js.configs.recommended.rules,
      "array-callback-return": "error",
      eqeqeq: "error",
      "no-implicit-globals": "error",
      "no-shadow": "error",
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
      "prefer-template": "error",
    },
  },
];
