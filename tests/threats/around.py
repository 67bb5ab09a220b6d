"""Threats from the surroundings of the server: browsers, other sites, proxies, models, plugins, disks and time."""

from __future__ import annotations

from tests.threats.line import (
    ABUSE,
    API,
    AUDITS,
    BORDER,
    DOORS,
    ENGINE,
    FAULTS,
    GUARD,
    IMAGES,
    NGINX,
    PAGES,
    RUNS,
    STORAGE,
    Line,
)

LINES: dict[int, Line] = {
    # ---- the browser's border ----
    18: Line(
        "foreign host names",
        "400 and no session; names of this machine are served",
        (
            f"{GUARD}::test_other_names_are_refused_and_leave_nothing",
            f"{GUARD}::test_names_of_this_machine_are_served",
            f"{BORDER}::test_other_hosts_over_the_wire",
        ),
    ),
    19: Line(
        "actions that another site triggers",
        "403; programs pass",
        (f"{GUARD}::test_other_sites_cannot_act", f"{GUARD}::test_our_own_pages_and_programs_can"),
    ),
    20: Line(
        "what a proxy claims, addresses that redirect",
        "not repeated; redirects stay here",
        (
            f"{BORDER}::test_what_a_proxy_claims_is_not_repeated",
            f"{BORDER}::test_no_prefix_leads_to_another_host",
            f"{BORDER}::test_redirects_stay_here",
            f"{BORDER}::test_the_page_of_runs_does_not_lead_away",
            "web/test_auth.py::test_without_proxies_forwarded_headers_say_nothing",
        ),
    ),
    21: Line(
        "any answer",
        "carries the headers that protect it",
        (f"{GUARD}::test_every_answer_is_protected", f"{BORDER}::test_answers_to_everything_are_protected"),
    ),
    22: Line(
        "the cookie",
        "a random id, HttpOnly, SameSite=Lax, set by the first upload and not by looking",
        (
            f"{API}::test_images",
            f"{API}::test_the_cookie_holds_an_id_and_nothing_else",
            f"{PAGES}::test_the_first_pages_show_what_there_is_and_make_no_session",
        ),
    ),
    23: Line(
        "defaults",
        "nothing is signed, no debugger, loopback only unless that is said",
        (
            f"{BORDER}::test_nothing_is_open_by_default",
            "web/test_auth.py::test_others_are_served_only_if_that_is_said",
            "web/test_auth.py::test_without_the_password_nothing_is_shown",
        ),
    ),
    # ---- images read right ----
    24: Line(
        "every kind of pixel, orientation and shape",
        "the right pixels, upright; HEIC gets a clear message",
        (
            DOORS,
            f"{IMAGES}::test_sixteen_bits_are_scaled_not_clipped",
            f"{IMAGES}::test_exif_orientations_come_out_upright",
            "explanation/test_render.py::test_a_map_covers_exactly_the_image",
        ),
    ),
    # ---- faults ----
    25: Line(
        "a session's folder vanishes in mid-run",
        "a message, and the next upload works",
        (
            f"{FAULTS}::test_a_session_whose_folder_vanishes_in_mid_run",
            f"{RUNS}::test_a_folder_that_vanishes_harms_nobody",
            f"{API}::test_a_session_that_is_deleted_during_a_request_is_no_fault_of_the_server",
        ),
    ),
    26: Line(
        "model files that are missing or broken, wrong settings",
        "status 2 and one clear line",
        (
            "cli/test_command.py::test_mistakes_end_with_status_2_and_one_line",
            "cli/test_command.py::test_serve_ends_with_status_2_if_the_model_cannot_be_loaded",
            "test_config.py::test_a_wrong_file_is_refused_in_one_sentence",
            f"{ENGINE}::test_a_model_that_cannot_be_loaded_is_explained",
            "fuzz/test_doors.py::test_spoilt_files",
        ),
    ),
    27: Line(
        "a model that answers NaN, another shape or no probabilities",
        "an error that names the model; never invalid JSON",
        (
            f"{FAULTS}::test_a_model_that_answers_nonsense_is_named",
            "models/test_base.py::test_answers_that_are_no_classification",
            f"{RUNS}::test_documents_are_json_without_nan",
        ),
    ),
    28: Line(
        "plugins that raise, exit, die, return rubbish, can't be imported, have no template",
        "only their run fails, or they are listed with the reason",
        (
            f"{FAULTS}::test_a_plugin_that_goes_wrong_harms_its_run_only",
            "explanation/test_registry.py::test_files_that_fail_in_other_ways",
            "explanation/test_pipeline.py::test_visualizations_that_go_wrong",
            f"{PAGES}::test_templates_of_plugins_and_the_default_one",
            f"{ENGINE}::test_a_killed_worker_fails_one_shard_and_is_replaced",
            "jobs/test_worker_faults.py::test_whatever_a_plugin_raises_is_a_sentence",
        ),
    ),
    29: Line(
        "a constant map",
        "finite numbers, labelled flat",
        (
            "explanation/test_render.py::test_flat_maps_are_drawn_and_labelled",
            f"{PAGES}::test_templates_of_plugins_and_the_default_one",
        ),
    ),
    30: Line(
        "two tabs with different settings",
        "each gets what it would get alone",
        (f"{API}::test_two_tabs_with_different_settings_do_not_disturb_each_other",),
    ),
    31: Line(
        "a client leaves in mid-run",
        "whoever hangs up, starts over or deletes frees the worker at the next batch; what hangs is ended",
        (
            f"{FAULTS}::test_a_cancelled_run_frees_the_worker_at_the_next_batch",
            f"{ABUSE}::test_a_client_that_hangs_up_stops_the_run_that_it_waits_for",
            f"{API}::test_deleting_a_run_at_work_cancels_it",
            f"{ENGINE}::test_a_run_that_hangs_is_ended_and_the_queue_goes_on",
            "jobs/test_worker_faults.py::test_one_that_hangs_is_replaced",
            f"{AUDITS}::test_deleting_one_at_work_frees_the_worker",
            f"{AUDITS}::test_one_that_takes_too_long_is_ended",
        ),
    ),
    32: Line(
        "an old cookie, folders of a killed server, sessions that nobody uses, 50 cycles",
        "a fresh start; removed; expired; nothing leaks",
        (
            f"{FAULTS}::test_an_old_cookie_finds_no_session_anywhere",
            f"{FAULTS}::test_a_session_does_not_expire_under_its_run",
            f"{FAULTS}::test_two_servers_on_one_folder_leave_each_other_alone",
            f"{FAULTS}::test_fifty_sessions_and_storages_leak_nothing",
            f"{PAGES}::test_an_old_cookie_is_a_fresh_start",
            f"{STORAGE}::test_folders_of_servers_that_were_killed_are_removed",
            f"{STORAGE}::test_sessions_expire_when_nobody_uses_them",
        ),
    ),
    33: Line(
        "model files are code",
        "loaded from the configuration only, and not run unless trusted",
        (
            f"{BORDER}::test_models_never_come_in_by_http",
            "models/test_formats.py::test_lambda_layers_are_refused_unless_trusted",
            "models/test_formats.py::test_graphs_that_write_files_are_refused_unless_trusted",
        ),
    ),
    34: Line(
        "model files of every format that hold code, name files, or cost far more than their bytes",
        "read against lists of what is allowed before anything of them runs; bounded by us",
        (
            "hostile/test_models.py::test_each_is_refused_for_its_reason",
            "hostile/test_models.py::test_nothing_else_is_opened_and_nothing_is_run",
            "hostile/test_models.py::test_bombs_take_little_memory",
            "models/test_scan_keras.py::test_code_files_and_addresses_are_found_with_their_place",
            "models/test_scan_onnx_tflite.py::test_hostile_files_are_refused",
            "models/test_scan_tensorflow.py::test_hostile_files_are_refused",
            "models/test_loading_tensorflow.py::test_hostile_files_are_not_loaded",
            "models/test_scan_command.py::test_no_framework_is_imported",
            "fuzz/test_doors.py::test_spoilt_files",
        ),
    ),
    39: Line(
        "messages of libraries",
        "no path, no content of a file, no traceback reaches a visitor",
        (
            "test_redaction.py::test_what_is_left_of_messages",
            "test_redaction.py::test_a_traceback_in_a_message_becomes_its_last_line",
            "test_redaction.py::test_the_kind_of_an_error_is_kept",
            "hostile/test_models.py::test_messages_hold_no_path_and_no_content",
        ),
    ),
    # ---- proxies ----
    38: Line(
        "proxies before the server, visitors who claim to be one, guessing from many addresses, servers side by side",
        "address, scheme, host, port and path are the visitor's; nothing that a visitor claims counts; nobody is "
        "locked out by others; Secure cookies under https, and a cookie for each port",
        (
            f"{NGINX}::test_https_is_known_to_be_https",
            f"{NGINX}::test_nothing_that_a_visitor_forges_arrives",
            f"{NGINX}::test_every_link_has_the_path_that_the_proxy_takes_off",
            f"{NGINX}::test_two_proxies_one_behind_the_other",
            f"{NGINX}::test_a_path_that_only_the_setting_says",
            f"{NGINX}::test_a_host_name_that_is_not_trusted_is_told_the_setting",
            "browser/test_proxy.py::test_everything_works_behind_the_proxy",
            "browser/test_proxy.py::test_two_visitors_and_one_who_guesses",
            "web/test_proxies.py::test_customary_headers",
            "web/test_proxies.py::test_folders_of_the_machine_are_not_shown_to_others",
            "web/test_proxies.py::test_the_standard_header",
            "web/test_proxies.py::test_servers_on_one_host_keep_their_sessions_apart",
            "web/test_prefix.py::test_the_header_counts_on_loopback_and_with_proxies",
            "web/test_prefix.py::test_a_proxy_takes_the_prefix_off_or_leaves_it_on",
            "web/test_auth.py::test_guessing_is_slowed_down_for_one_network_only",
            "web/test_auth.py::test_nobody_behind_a_proxy_that_is_not_declared_is_locked_out",
            "web/test_auth.py::test_however_fast_somebody_guesses_few_passwords_are_looked_at",
        ),
    ),
}
