"""Threats from the content of requests: addresses, names and files, and excessive sizes and numbers."""

from __future__ import annotations

from tests.threats.line import (
    ABUSE,
    API,
    AUDITS,
    BOMBS,
    DOORS,
    ENGINE,
    FAULTS,
    IMAGES,
    PAGES,
    PATHS,
    RUNS,
    STORAGE,
    Line,
)

LINES: dict[int, Line] = {
    # ---- paths and files ----
    1: Line(
        "addresses with dots, encoded twice, with backslashes or NUL",
        "404",
        (f"{PATHS}::test_no_address_leaves_its_folder", f"{PATHS}::test_names_that_no_file_can_have"),
    ),
    2: Line(
        "uploads with a path, 9,000 characters, NUL or right-to-left marks as their name",
        "stored under an id; the name is only shown, shortened",
        (
            f"{PATHS}::test_names_of_uploads_are_only_shown",
            f"{PATHS}::test_a_name_in_the_extended_notation_is_only_shown",
            f"{STORAGE}::test_names_never_become_paths",
            f"{IMAGES}::test_display_names",
            f"{AUDITS}::test_names_are_metadata_and_never_paths",
        ),
    ),
    3: Line(
        "two uploads of one name",
        "both are kept",
        (f"{STORAGE}::test_images_are_numbered_and_equal_names_kept", f"{PAGES}::test_upload_several_and_remove_one"),
    ),
    4: Line(
        "an id of another session",
        "404, the same answer as for an id that never was",
        (
            f"{API}::test_nothing_of_one_session_is_seen_from_another",
            "web/test_downloads.py::test_nobody_else_can_keep_a_run",
            "fuzz/test_sessions.py::test_two_visitors_in_any_order",
            f"{AUDITS}::test_nobody_else_sees_an_audit",
        ),
    ),
    5: Line(
        "links inside a session's folder, folders whose names begin alike",
        "404",
        (
            f"{PATHS}::test_links_and_neighbours_are_not_served",
            f"{STORAGE}::test_links_are_not_followed",
            f"{RUNS}::test_files_of_results_cannot_be_reached_from_outside",
        ),
    ),
    6: Line(
        "names of modules as visualizations, settings out of range, nan, unknown settings",
        "404; 400 naming the field and what is allowed",
        (
            f"{PATHS}::test_only_visualizations_have_names",
            f"{PATHS}::test_settings_out_of_range_name_the_field_and_what_is_allowed",
            f"{PATHS}::test_json_may_hold_what_no_form_can",
            f"{API}::test_errors_have_one_shape",
            "explanation/test_registry.py::test_unknown_names",
        ),
    ),
    7: Line(
        "a path or an address where an image's number is due",
        "refused, and nothing is fetched",
        (f"{PATHS}::test_images_are_numbers_and_nothing_is_fetched",),
    ),
    # ---- hostile content ----
    8: Line("other formats that are named .png", "415", (DOORS, f"{IMAGES}::test_other_formats_are_refused")),
    9: Line(
        "appended scripts, EXIF, places, text chunks",
        "taken, and none of it is in any file that is served",
        (DOORS, f"{IMAGES}::test_nothing_but_pixels_passes"),
    ),
    10: Line(
        "markup as a file name",
        "shown as text",
        (
            "browser/test_pages.py::test_dropping_a_file_uploads_it",
            f"{PAGES}::test_good_images_are_kept_where_others_are_not",
        ),
    ),
    11: Line(
        "images and texts that take gigabytes, 10,000 frames",
        "413 or 400, or the first frame, soon and without much memory",
        (
            DOORS,
            BOMBS,
            f"{IMAGES}::test_ten_thousand_frames",
            f"{IMAGES}::test_too_many_pixels_are_known_from_the_header",
        ),
    ),
    12: Line(
        "nothing, words, images that are cut off", "415; 400 naming the file", (DOORS, f"{IMAGES}::test_truncated")
    ),
    # ---- abuse ----
    13: Line(
        "bodies over the limit, in chunks, of many parts, with long fields or dashes without end",
        "413 at once",
        (
            f"{ABUSE}::test_too_much_is_refused_at_once",
            f"{ABUSE}::test_dashes_within_the_limit",
            "storage/test_quota.py::test_an_upload_beyond_the_limit_leaves_nothing",
        ),
    ),
    14: Line(
        "JSON that is none or nested too deeply, wrong methods, unknown addresses, no boundary, no file",
        "400, 405 or 404 in one shape",
        (f"{ABUSE}::test_what_is_no_request", f"{API}::test_errors_have_one_shape"),
    ),
    15: Line(
        "20 requests of which half is sent",
        "another client is answered within a second",
        (f"{ABUSE}::test_half_sent_requests_keep_nobody_waiting",),
    ),
    16: Line(
        "more images or sessions than may be, a full disk",
        "413, 429, 507; nothing half-written; it goes on",
        (
            f"{FAULTS}::test_a_session_and_the_server_hold_so_much_and_no_more",
            f"{FAULTS}::test_a_disk_that_fills_up_leaves_nothing_half_written",
            f"{STORAGE}::test_quotas",
            f"{STORAGE}::test_a_full_disk",
            "storage/test_quota.py::test_a_session_and_all_of_them_have_limits",
            f"{RUNS}::test_a_run_ends_even_if_there_is_no_room_for_the_reason",
        ),
    ),
    17: Line(
        "a full queue, 50 clients at once",
        "503 with Retry-After; nothing is mixed up, threads and memory stay bounded",
        (
            f"{FAULTS}::test_a_full_queue_says_when_to_come_back",
            f"{ABUSE}::test_fifty_clients_at_once_are_not_mixed_up",
            f"{ENGINE}::test_the_queue_is_bounded_and_knows_positions",
        ),
    ),
}
