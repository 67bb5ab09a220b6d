"""The sentences of SECURITY.md, verbatim, and the tests of each. ``test_promises`` compares them with the file."""

from __future__ import annotations

from tests.threats.line import ABUSE, API, BORDER, CONNECTIONS, DECODING, GUARD, LOGIN, NGINX, STORAGE

MODELS, TENSORFLOW = "hostile/test_models.py", "models/test_loading_tensorflow.py"

PROMISES: dict[str, tuple[str, ...]] = {
    "A model is loaded from the configuration only, never over HTTP.": (f"{GUARD}::test_no_address_takes_a_model",),
    "Picasso reads each of them itself, as data, before a framework does, and goes by [lists of what is "
    "allowed](docs/model-files.md); what is on no list is refused, with its place.": (
        "models/test_scan_keras.py::test_code_files_and_addresses_are_found_with_their_place",
        "models/test_scan_onnx_tflite.py::test_hostile_files_are_refused",
        "models/test_scan_tensorflow.py::test_hostile_files_are_refused",
    ),
    "Only PNG, JPEG, WebP, GIF, BMP, and TIFF (uncompressed, LZW, Deflate or PackBits) are decoded, and of "
    "several frames the first.": (
        "imaging/test_decode.py::test_accepted_formats",
        "imaging/test_decode.py::test_other_formats_are_refused",
        "imaging/test_decode.py::test_the_first_frame_of_an_animation",
        "imaging/test_headers.py::test_the_second_frame_reaches_no_decoder",
    ),
    "Pixels alone are stored, under generated names, in a temporary folder of the session that is deleted when "
    "it expires or the server ends.": (
        "web/test_audits.py::test_names_are_metadata_and_never_paths",
        f"{STORAGE}::test_sessions_expire_when_nobody_uses_them",
    ),
    "What one session holds can't be reached from another: ids can't be guessed, and a wrong one is answered "
    "like one that never existed.": (
        f"{API}::test_nothing_of_one_session_is_seen_from_another",
        "browser/test_proxy.py::test_two_visitors_and_one_who_guesses",
        f"{STORAGE}::test_sessions_are_found_by_id_only",
    ),
    "Every page forbids inline scripts and anything from another host; names are shown as text.": (
        f"{GUARD}::test_every_answer_is_protected",
        "browser/test_hostile.py::test_names_and_the_output_of_plugins_are_text",
    ),
    "What is stored, queued and computed is bounded; the process that computes may crash or hang without the server.": (
        "storage/test_quota.py::test_a_session_and_all_of_them_have_limits",
        "jobs/test_engine.py::test_the_queue_is_bounded_and_knows_positions",
        "jobs/test_engine.py::test_a_killed_worker_fails_one_shard_and_is_replaced",
        "jobs/test_worker_faults.py::test_one_that_hangs_is_replaced",
    ),
    "Errors shown to a visitor hold no traceback; that goes to the log.": (
        "jobs/test_run.py::test_failures_are_written_down",
        "test_redaction.py::test_a_traceback_in_a_message_becomes_its_last_line",
    ),
    "A model file that holds code, or names a file, a link or an address outside of it, is refused before anything of "
    "it runs, and nothing that it names is opened.": (
        f"{MODELS}::test_each_is_refused_for_its_reason",
        f"{MODELS}::test_nothing_else_is_opened_and_nothing_is_run",
        "models/test_scan_onnx_tflite.py::test_hostile_files_are_refused",
        f"{TENSORFLOW}::test_hostile_files_are_not_loaded",
        f"{TENSORFLOW}::test_no_path_of_a_hostile_file_is_opened",
    ),
    "In Keras' files every layer and every function has to be one that is known to compute only; a layer that runs "
    "Python of the file is not.": (
        "models/test_scan_keras.py::test_what_computes_only_is_not_found",
        "models/test_scan_keras.py::test_code_files_and_addresses_are_found_with_their_place",
        "models/test_formats.py::test_lambda_layers_are_refused_unless_trusted",
    ),
    "A class of your own is taken from what you hand over, never from the file.": (
        "models/test_scan_keras.py::test_classes_of_somebodys_own_are_asked_for",
        "models/test_formats.py::test_classes_of_somebodys_own_are_named_in_full",
    ),
    "In TensorFlow's files every operation that an answer or an initializer depends on has to be one that classifiers "
    "need.": (
        "models/test_scan_tensorflow.py::test_hostile_files_are_refused",
        f"{TENSORFLOW}::test_hostile_files_are_not_loaded",
    ),
    "Variables are read by name: no restore operation and no initializer of a file runs.": (
        f"{TENSORFLOW}::test_a_checkpoint_restored_by_name",
        f"{TENSORFLOW}::test_hostile_files_are_not_loaded",
    ),
    "ONNX and TFLite files may use known operations only.": (
        "models/test_scan_onnx_tflite.py::test_hostile_files_are_refused",
    ),
    "Values of an ONNX file may lie beside it, as plain files, and nowhere else; every offset in a TFLite file is "
    "checked.": (
        "models/test_scan_onnx_tflite.py::test_hostile_files_are_refused",
        "models/test_scan_onnx_tflite.py::test_values_beside_the_model_are_read",
        "fuzz/test_doors.py::test_spoilt_files",
    ),
    "Reading a hostile file ends in a sentence and takes less than 300 MB, however much it claims to hold: `MODEL_MB` "
    "bounds what its tensors take, and trust does not lift that.": (
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
    "Versions of the frameworks that are older than those tested are refused by name.": (
        "models/test_versions.py::test_the_bounds_are_those_of_the_project",
        "models/test_versions.py::test_older_versions_are_refused_by_name",
        "models/test_versions.py::test_the_runtime_is_asked_for_its_version",
    ),
    "Messages of libraries are shown without paths, addresses, contents of files and stack traces.": (
        "test_redaction.py::test_what_is_left_of_messages",
        "test_redaction.py::test_a_traceback_in_a_message_becomes_its_last_line",
    ),
    "Whatever another site makes a browser send is refused, by any method; only links to pages are followed from "
    "there, and those start no work.": (
        f"{GUARD}::test_other_sites_cannot_act",
        f"{GUARD}::test_every_route_is_closed_to_other_sites_unless_it_is_named",
        f"{GUARD}::test_what_other_sites_may_link_to_starts_no_work",
    ),
    "Requests that wait for the model take at most half of the threads, and uploads have threads of their own.": (
        f"{ABUSE}::test_requests_that_wait_leave_threads_for_others",
        f"{CONNECTIONS}::test_uploads_at_work_keep_no_page_waiting",
    ),
    "Whoever finds no place is told with status 503 when to come back; pages and `/healthz` are answered meanwhile.": (
        "jobs/test_gate.py::test_the_fifth_question_is_told_to_come_back",
        f"{CONNECTIONS}::test_uploads_at_work_keep_no_page_waiting",
    ),
    "Connections are bounded in number, for each network too, and in time, whether they send slowly or read slowly.": (
        f"{CONNECTIONS}::test_another_client_is_served_while_two_hundred_connections_are_held",
        f"{CONNECTIONS}::test_slow_ones_are_closed",
        f"{CONNECTIONS}::test_one_that_does_not_take_its_answer_is_closed_and_holds_no_thread",
    ),
    "A body is read only after the host name, the origin, the password, the address and the size were found right.": (
        f"{CONNECTIONS}::test_a_body_is_refused_before_it_comes",
    ),
    "What does not fit into memory lies in the folder of the server, `WORK_DIR`, and nowhere else.": (
        f"{CONNECTIONS}::test_a_large_body_lies_in_the_folder_of_the_server",
        f"{ABUSE}::test_nothing_lies_outside_the_folder_of_the_server",
    ),
    "An image is decoded by a process of its own, which the system ends where it takes more time than "
    "`DECODE_SECONDS` or more memory than its header says; others go on.": (
        f"{DECODING}::test_an_image_that_takes_too_long_is_refused_and_others_go_on",
        f"{DECODING}::test_one_that_takes_more_memory_than_its_header_says_is_refused",
        f"{DECODING}::test_one_that_crashes_its_decoder_is_refused_and_others_go_on",
        f"{DECODING}::test_while_eight_hostile_images_are_decoded_everything_else_is_answered",
    ),
    "All that are decoded share `DECODE_PROCESSES` and `DECODE_MB`.": (
        f"{DECODING}::test_so_many_are_decoded_at_once",
        f"{DECODING}::test_large_images_wait_for_each_other",
        f"{DECODING}::test_images_of_audits_have_the_same_bounds",
    ),
    "The size, the scans of a JPEG, and what a decoder will take are read from the file first, and bounded; a decoder "
    "is given only what pixels are made of.": (
        "hostile/test_doors.py::test_every_door_answers_alike",
        "hostile/test_files.py::test_bombs_take_no_memory",
        "imaging/test_headers.py::test_a_decoder_is_given_only_what_pixels_are_made_of",
        "imaging/test_headers.py::test_no_image_takes_more_memory_than_its_header_says",
    ),
    "A refused upload leaves no session.": (f"{API}::test_what_is_refused_leaves_no_session",),
    "Where there are too many sessions, empty ones give way.": (
        f"{STORAGE}::test_empty_sessions_go_first_where_there_are_too_many",
    ),
    "Sessions take turns in the queue, and none may have more than half of it.": (
        "jobs/test_turns.py::test_owners_take_turns",
        "jobs/test_turns.py::test_one_session_leaves_room_for_others",
    ),
    "The server listens on `127.0.0.1` unless the setting `HOST` says otherwise; it does so only with a password, or "
    "where `OPEN` says that none is wanted.": (
        f"{BORDER}::test_nothing_is_open_by_default",
        f"{LOGIN}::test_others_are_served_only_if_that_is_said",
        f"{LOGIN}::test_without_the_password_nothing_is_shown",
    ),
    "Passwords are compared in constant time, and so many wrong ones a minute are looked at and no more; the right one "
    "is let in whoever guesses beside it.": (
        f"{LOGIN}::test_passwords_are_compared_in_constant_time",
        f"{LOGIN}::test_guessing_is_slowed_down_for_one_network_only",
        f"{LOGIN}::test_however_fast_somebody_guesses_few_passwords_are_looked_at",
        f"{LOGIN}::test_nobody_behind_a_proxy_that_is_not_declared_is_locked_out",
    ),
    "Bound to loopback, it serves loopback names and the `TRUSTED_HOSTS` only (DNS rebinding), behind a proxy too.": (
        f"{GUARD}::test_other_names_are_refused_and_leave_nothing",
        f"{BORDER}::test_other_hosts_over_the_wire",
        f"{LOGIN}::test_names_behind_a_proxy",
        f"{NGINX}::test_a_host_name_that_is_not_trusted_is_told_the_setting",
    ),
    "Forwarded headers are believed only where `PROXIES` says so, and of those only what that many proxies have "
    "added.": (
        f"{LOGIN}::test_without_proxies_forwarded_headers_say_nothing",
        f"{NGINX}::test_nothing_that_a_visitor_forges_arrives",
        f"{NGINX}::test_two_proxies_one_behind_the_other",
        "web/test_proxies.py::test_customary_headers",
        "web/test_proxies.py::test_the_standard_header",
    ),
    "A well-formed `X-Forwarded-Prefix` is believed on loopback too: it changes the paths of links, and of the cookie, "
    "in the answer to whoever sent it, which no cache may keep for others, and cannot lead to another host.": (
        f"{BORDER}::test_no_prefix_leads_to_another_host",
        f"{NGINX}::test_every_link_has_the_path_that_the_proxy_takes_off",
        "web/test_prefix.py::test_only_plain_paths_are_prefixes",
        "web/test_prefix.py::test_the_header_counts_on_loopback_and_with_proxies",
    ),
    "Cookies are `HttpOnly` and `SameSite=Lax`, under https `Secure`; servers on several ports of a host keep theirs "
    "apart.": (
        f"{API}::test_the_cookie_holds_an_id_and_nothing_else",
        f"{NGINX}::test_https_is_known_to_be_https",
        "web/test_proxies.py::test_servers_on_one_host_keep_their_sessions_apart",
    ),
    "Over plain http a browser does not say where a link comes from; what starts work or deletes something by GET is "
    "then refused to whoever asks for it as for a page.": (
        "web/test_security.py::test_over_http_a_link_of_another_site_starts_no_work",
    ),
    "One session leaves others a place for runs that are waited for.": (
        "jobs/test_gate.py::test_one_session_leaves_others_a_place_for_whole_runs",
    ),
    "Reports that are kept as files say the same of themselves, wherever they are opened.": (
        "browser/test_reports.py::test_a_report_on_disk_looks_as_it_should",
        "browser/test_reports.py::test_whatever_got_into_a_report_runs_and_fetches_nothing",
    ),
    "What *Start over* deletes only its visitor's browser can bring back, for a minute; then it is deleted from the "
    "disk.": (
        "web/test_reset.py::test_within_a_minute_it_is_undone",
        "web/test_reset.py::test_after_a_minute_it_is_gone",
        "web/test_reset.py::test_nothing_is_restored_by_a_made_up_id",
    ),
    "Logs of requests hold no names of images and no session ids.": (
        f"{LOGIN}::test_requests_are_logged_without_names",
    ),
}

# What SECURITY.md says besides: what it is about, and what is not promised.
EXPLANATIONS = (
    "Picasso is an upload-and-compute server for one person's own machine.",
    "**Trusted** is what the operator writes: the settings file (a Python file is executed), the model class, the "
    "visualizations in `PLUGIN_DIRS` and the files in `INTERVENTIONS`, and the plugins of packages that are installed.",
    "**Not trusted unless `TRUST_MODEL` is set** are model files.",
    "This is not promised: that a file which is refused nothing is quick or right, since what depends on the "
    "image is not followed; that the frameworks' own code has no faults; that a file stays what it was between "
    "the scan and the loading; and anything at all for a file that you trust.",
    "It is no sandbox: load models of strangers in a container.",
    "**Never trusted** is what arrives by HTTP: images, file names, settings of a visualization, addresses, headers.",
    "An audit's images are decoded a second time, by the process that computes, after they have passed.",
    "On systems without limits for processes, such as Windows, there are only the bounds that the header tells, "
    "and those of the clock.",
)
