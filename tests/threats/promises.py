"""The sentences of SECURITY.md, word for word, and the tests of each; ``test_promises`` compares both."""

from __future__ import annotations

from tests.threats.line import ABUSE, API, BORDER, CONNECTIONS, DECODING, GUARD, LOGIN, NGINX, STORAGE

MODELS, TENSORFLOW = "hostile/test_models.py", "models/test_loading_tensorflow.py"

PROMISES: dict[str, tuple[str, ...]] = {
    "A model is loaded from the configuration only, never over HTTP.": (f"{GUARD}::test_no_address_takes_a_model",),
    "Before a framework reads a model file, Picasso reads it as data and compares it with "
    "[allowlists](docs/model-files.md); anything that is not on a list is refused, with its location.": (
        "models/test_scan_keras.py::test_code_files_and_addresses_are_found_with_their_place",
        "models/test_scan_onnx_tflite.py::test_hostile_files_are_refused",
        "models/test_scan_tensorflow.py::test_hostile_files_are_refused",
    ),
    "Only PNG, JPEG, WebP, GIF, BMP, and TIFF (uncompressed, LZW, Deflate or PackBits) are decoded, and only the "
    "first of several frames.": (
        "imaging/test_decode.py::test_accepted_formats",
        "imaging/test_decode.py::test_other_formats_are_refused",
        "imaging/test_decode.py::test_the_first_frame_of_an_animation",
        "imaging/test_headers.py::test_the_second_frame_reaches_no_decoder",
    ),
    "Only pixels are stored, under generated names, in a temporary folder of the session that is deleted when the "
    "session expires or the server ends.": (
        "web/test_audits.py::test_names_are_metadata_and_never_paths",
        f"{STORAGE}::test_sessions_expire_when_nobody_uses_them",
    ),
    "A session can't access anything of another session: ids can't be guessed, and a wrong id gets the same response "
    "as one that never existed.": (
        f"{API}::test_nothing_of_one_session_is_seen_from_another",
        "browser/test_proxy.py::test_two_visitors_and_one_who_guesses",
        f"{STORAGE}::test_sessions_are_found_by_id_only",
    ),
    "A result is reused for another session only if it asks for the same map of an image with the same pixels; it has "
    "no name or id of the session before.": (
        "web/test_cache.py::test_two_visitors_and_the_traces_of_the_first",
        "jobs/test_reuse.py::test_nothing_of_who_asked_first_is_in_the_cache",
        "jobs/test_reuse.py::test_what_changes_the_answer_is_part_of_the_question",
    ),
    "It is deleted with the last run that has it.": (
        "jobs/test_result_cache.py::test_an_entry_shares_the_files_of_the_run_and_ends_with_the_last_one",
        "web/test_cache.py::test_deleted_runs_leave_the_cache_at_the_next_sweep",
    ),
    "How fast it comes tells that somebody has asked before, unless `CACHE_MB` is 0.": (
        "web/test_cache.py::test_it_can_be_turned_off",
    ),
    "Every page forbids inline scripts and anything from another host; names are shown as text.": (
        f"{GUARD}::test_every_answer_is_protected",
        "browser/test_hostile.py::test_names_and_the_output_of_plugins_are_text",
    ),
    "Storage, queues and computations are limited; the server continues if the worker process crashes or hangs.": (
        "storage/test_quota.py::test_a_session_and_all_of_them_have_limits",
        "jobs/test_engine.py::test_the_queue_is_bounded_and_knows_positions",
        "jobs/test_engine.py::test_a_killed_worker_fails_one_shard_and_is_replaced",
        "jobs/test_worker_faults.py::test_one_that_hangs_is_replaced",
    ),
    "Error messages for visitors contain no traceback; the traceback is written to the log.": (
        "jobs/test_run.py::test_failures_are_written_down",
        "test_redaction.py::test_a_traceback_in_a_message_becomes_its_last_line",
    ),
    "A model file that contains code, or refers to a file, a link or an address outside of it, is refused before any "
    "part of it runs, and nothing that it refers to is opened.": (
        f"{MODELS}::test_each_is_refused_for_its_reason",
        f"{MODELS}::test_nothing_else_is_opened_and_nothing_is_run",
        "models/test_scan_onnx_tflite.py::test_hostile_files_are_refused",
        f"{TENSORFLOW}::test_hostile_files_are_not_loaded",
        f"{TENSORFLOW}::test_no_path_of_a_hostile_file_is_opened",
    ),
    "In Keras files, every layer and every function must be known to only compute; a layer that runs Python code of "
    "the file is refused.": (
        "models/test_scan_keras.py::test_what_computes_only_is_not_found",
        "models/test_scan_keras.py::test_code_files_and_addresses_are_found_with_their_place",
        "models/test_formats.py::test_lambda_layers_are_refused_unless_trusted",
    ),
    "Custom classes are taken from what you provide, never from the file.": (
        "models/test_scan_keras.py::test_classes_of_somebodys_own_are_asked_for",
        "models/test_formats.py::test_classes_of_somebodys_own_are_named_in_full",
    ),
    "In TensorFlow files, every operation that a prediction or an initializer depends on must be one that classifiers "
    "need.": (
        "models/test_scan_tensorflow.py::test_hostile_files_are_refused",
        f"{TENSORFLOW}::test_hostile_files_are_not_loaded",
    ),
    "Variables are read by name: no restore operation and no initializer of a file runs.": (
        f"{TENSORFLOW}::test_a_checkpoint_restored_by_name",
        f"{TENSORFLOW}::test_hostile_files_are_not_loaded",
    ),
    "ONNX and TFLite files may use only known operations.": (
        "models/test_scan_onnx_tflite.py::test_hostile_files_are_refused",
    ),
    "Values of an ONNX file may be stored in regular files next to it, and nowhere else; every offset in a TFLite "
    "file is checked.": (
        "models/test_scan_onnx_tflite.py::test_hostile_files_are_refused",
        "models/test_scan_onnx_tflite.py::test_values_beside_the_model_are_read",
        "fuzz/test_doors.py::test_spoilt_files",
    ),
    "Reading a hostile file ends with an error message and needs less than 300 MB, whatever sizes the file declares: "
    "`MODEL_MB` limits the size of its tensors, for trusted files too.": (
        f"{MODELS}::test_bombs_take_little_memory",
        "models/test_scan_onnx_tflite.py::test_the_limits_are_those_of_the_setting",
        "models/test_scan_onnx_tflite.py::test_trust_lifts_code_only",
        "fuzz/test_doors.py::test_spoilt_files",
    ),
    "`serve`, `explain`, `check` and `audit` load nothing that `picasso scan` would refuse.": (
        "models/test_scan_command.py::test_verdicts_and_statuses",
        "models/test_scan_onnx_tflite.py::test_hostile_files_are_refused",
        f"{TENSORFLOW}::test_hostile_files_are_not_loaded",
        "models/test_formats.py::test_lambda_layers_are_refused_unless_trusted",
        "models/test_recognition.py::test_what_lies_where",
    ),
    "Versions of the frameworks that are older than the tested ones are refused, and the message names them.": (
        "models/test_versions.py::test_the_bounds_are_those_of_the_project",
        "models/test_versions.py::test_older_versions_are_refused_by_name",
        "models/test_versions.py::test_the_runtime_is_asked_for_its_version",
    ),
    "Messages of libraries are shown without paths, addresses, contents of files and stack traces.": (
        "test_redaction.py::test_what_is_left_of_messages",
        "test_redaction.py::test_a_traceback_in_a_message_becomes_its_last_line",
    ),
    "A request that another site makes a browser send is refused, whatever its method; the only exceptions are links "
    "to pages, and those start no work.": (
        f"{GUARD}::test_other_sites_cannot_act",
        f"{GUARD}::test_every_route_is_closed_to_other_sites_unless_it_is_named",
        f"{GUARD}::test_what_other_sites_may_link_to_starts_no_work",
    ),
    "Requests that wait for the model use at most half of the threads, and uploads have separate threads.": (
        f"{ABUSE}::test_requests_that_wait_leave_threads_for_others",
        f"{CONNECTIONS}::test_uploads_at_work_keep_no_page_waiting",
    ),
    "If no place is free, the response has status 503 and says when to try again; meanwhile pages and `/healthz` are "
    "answered.": (
        "jobs/test_gate.py::test_the_fifth_question_is_told_to_come_back",
        f"{CONNECTIONS}::test_uploads_at_work_keep_no_page_waiting",
    ),
    "The number of connections is limited, also for each network, and so is their duration, whether a client sends "
    "slowly or reads slowly.": (
        f"{CONNECTIONS}::test_another_client_is_served_while_two_hundred_connections_are_held",
        f"{CONNECTIONS}::test_slow_ones_are_closed",
        f"{CONNECTIONS}::test_one_that_does_not_take_its_answer_is_closed_and_holds_no_thread",
    ),
    "The body of a request is read only after the host name, the origin, the password, the URL and the size were "
    "accepted.": (f"{CONNECTIONS}::test_a_body_is_refused_before_it_comes",),
    "Data that doesn't fit into memory is stored in the folder of the server, `WORK_DIR`, and nowhere else.": (
        f"{CONNECTIONS}::test_a_large_body_lies_in_the_folder_of_the_server",
        f"{ABUSE}::test_nothing_lies_outside_the_folder_of_the_server",
    ),
    "An image is decoded in a separate process, which the operating system ends if it needs more time than "
    "`DECODE_SECONDS` or more memory than the header of the image indicates; the decoding of other images continues.": (
        f"{DECODING}::test_an_image_that_takes_too_long_is_refused_and_others_go_on",
        f"{DECODING}::test_one_that_takes_more_memory_than_its_header_says_is_refused",
        f"{DECODING}::test_one_that_crashes_its_decoder_is_refused_and_others_go_on",
        f"{DECODING}::test_while_eight_hostile_images_are_decoded_everything_else_is_answered",
    ),
    "All images that are being decoded share `DECODE_PROCESSES` and `DECODE_MB`.": (
        f"{DECODING}::test_so_many_are_decoded_at_once",
        f"{DECODING}::test_large_images_wait_for_each_other",
        f"{DECODING}::test_images_of_audits_have_the_same_bounds",
    ),
    "The size, the number of scans of a JPEG, and the memory that a decoder will need are first read from the file, "
    "and limited; a decoder receives only the parts of the file that contain pixels.": (
        "hostile/test_doors.py::test_every_door_answers_alike",
        "hostile/test_files.py::test_bombs_take_no_memory",
        "imaging/test_headers.py::test_a_decoder_is_given_only_what_pixels_are_made_of",
        "imaging/test_headers.py::test_no_image_takes_more_memory_than_its_header_says",
    ),
    "A refused upload leaves no session.": (f"{API}::test_what_is_refused_leaves_no_session",),
    "If there are too many sessions, empty ones are removed first.": (
        f"{STORAGE}::test_empty_sessions_go_first_where_there_are_too_many",
    ),
    "Sessions have equal shares of the workers' time, and none may occupy more than half of the queue.": (
        "jobs/test_shares.py::test_long_items_get_no_more_time_than_short_ones",
        "jobs/test_turns.py::test_one_session_leaves_room_for_others",
    ),
    "The server listens on `127.0.0.1` unless the setting `HOST` specifies another address; it listens on another "
    "address only if a password is set, or if `OPEN` states that none is required.": (
        f"{BORDER}::test_nothing_is_open_by_default",
        f"{LOGIN}::test_others_are_served_only_if_that_is_said",
        f"{LOGIN}::test_without_the_password_nothing_is_shown",
    ),
    "Passwords are compared in constant time, and the number of wrong passwords checked per minute is limited. Wrong "
    "passwords from others don't lock out a user who knows the right one; while somebody exceeds the limit, a user "
    "without a session may have to try again.": (
        f"{LOGIN}::test_passwords_are_compared_in_constant_time",
        f"{LOGIN}::test_guessing_is_slowed_down_for_one_network_only",
        f"{LOGIN}::test_however_fast_somebody_guesses_few_passwords_are_looked_at",
        f"{LOGIN}::test_nobody_behind_a_proxy_that_is_not_declared_is_locked_out",
    ),
    "If the server listens on loopback, it accepts only loopback names and the `TRUSTED_HOSTS` as host names (against "
    "DNS rebinding), behind a proxy too.": (
        f"{GUARD}::test_other_names_are_refused_and_leave_nothing",
        f"{BORDER}::test_other_hosts_over_the_wire",
        f"{LOGIN}::test_names_behind_a_proxy",
        f"{NGINX}::test_a_host_name_that_is_not_trusted_is_told_the_setting",
    ),
    "Forwarded headers are used only if `PROXIES` is set, and only the values that this number of proxies has added.": (
        f"{LOGIN}::test_without_proxies_forwarded_headers_say_nothing",
        f"{NGINX}::test_nothing_that_a_visitor_forges_arrives",
        f"{NGINX}::test_two_proxies_one_behind_the_other",
        "web/test_proxies.py::test_customary_headers",
        "web/test_proxies.py::test_the_standard_header",
    ),
    "A well-formed `X-Forwarded-Prefix` is also used on loopback: it changes the paths of links and of the cookie "
    "in the response to the client that sent it, which no cache may store for others, and it can't "
    "lead to another host.": (
        f"{BORDER}::test_no_prefix_leads_to_another_host",
        f"{NGINX}::test_every_link_has_the_path_that_the_proxy_takes_off",
        "web/test_prefix.py::test_only_plain_paths_are_prefixes",
        "web/test_prefix.py::test_the_header_counts_on_loopback_and_with_proxies",
    ),
    "Cookies are `HttpOnly` and `SameSite=Lax`, and under https `Secure`; servers on several ports of a host have "
    "separate cookies.": (
        f"{API}::test_the_cookie_holds_an_id_and_nothing_else",
        f"{NGINX}::test_https_is_known_to_be_https",
        "web/test_proxies.py::test_servers_on_one_host_keep_their_sessions_apart",
    ),
    "Over plain http, a browser doesn't say where a link comes from; a GET request that starts work or deletes "
    "something is then refused if it asks for a page, as a browser does when it follows a link.": (
        "web/test_security.py::test_over_http_a_link_of_another_site_starts_no_work",
    ),
    "One session can't occupy all the places for requests that wait for a run.": (
        "jobs/test_gate.py::test_one_session_leaves_others_a_place_for_whole_runs",
    ),
    "Reports that are saved as files contain the same restrictions, wherever they are opened.": (
        "browser/test_reports.py::test_a_report_on_disk_looks_as_it_should",
        "browser/test_reports.py::test_whatever_got_into_a_report_runs_and_fetches_nothing",
    ),
    "Data that *Start over* deletes can be restored for a minute, and only by the visitor's own browser; then it is "
    "deleted from the disk.": (
        "web/test_reset.py::test_within_a_minute_it_is_undone",
        "web/test_reset.py::test_after_a_minute_it_is_gone",
        "web/test_reset.py::test_nothing_is_restored_by_a_made_up_id",
    ),
    "Logs of requests contain no names of images and no session ids.": (
        f"{LOGIN}::test_requests_are_logged_without_names",
    ),
}

# The other sentences of SECURITY.md: what it is about, and what is not guaranteed.
EXPLANATIONS = (
    "Picasso is a web server that accepts uploads and runs computations, designed for one person on their own machine.",
    "**Trusted** is everything that the operator provides: the settings file (a Python file is executed), the model "
    "class, the visualizations in `PLUGIN_DIRS`, the files in `INTERVENTIONS`, and the plugins of installed packages.",
    "**Not trusted unless `TRUST_MODEL` is set** are model files.",
    "Not guaranteed: that an accepted file is fast or correct, because behaviour that depends on the image is not "
    "analysed; that the code of the frameworks has no faults; that a file doesn't change between the scan and the "
    "loading; and anything at all for a file that you trust.",
    "Picasso is not a sandbox: load models from strangers in a container.",
    "**Never trusted** is everything that arrives over HTTP: images, file names, settings of a visualization, "
    "URLs and headers.",
    "The accepted images of an audit are decoded a second time, in the worker process.",
    "On systems that can't limit processes, such as Windows, only the limits that are based on the header and on "
    "elapsed time apply.",
)
