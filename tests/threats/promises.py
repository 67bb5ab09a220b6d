"""Sentences of SECURITY.md, word for word, and the tests that see to them; ``test_promises`` keeps them in step."""

from __future__ import annotations

from tests.threats.line import ABUSE, API, CONNECTIONS, DECODING, GUARD, STORAGE

PROMISES: dict[str, tuple[str, ...]] = {
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
        "test_gate.py::test_the_fifth_question_is_told_to_come_back",
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
    "A picture is decoded by a process of its own, which the system ends where it takes more time than "
    "`DECODE_SECONDS` or more memory than its header says; others go on.": (
        f"{DECODING}::test_an_image_that_takes_too_long_is_refused_and_others_go_on",
        f"{DECODING}::test_one_that_takes_more_memory_than_its_header_says_is_refused",
        f"{DECODING}::test_one_that_crashes_its_decoder_is_refused_and_others_go_on",
        f"{DECODING}::test_while_eight_hostile_images_are_decoded_everything_else_is_answered",
    ),
    "All that are decoded share `DECODE_PROCESSES` and `DECODE_MB`.": (
        f"{DECODING}::test_so_many_are_decoded_at_once",
        f"{DECODING}::test_large_images_wait_for_each_other",
        f"{DECODING}::test_pictures_of_audits_have_the_same_bounds",
    ),
    "The size, the scans of a JPEG, and what a decoder will take are read from the file first, and bounded; a decoder "
    "is given only what pixels are made of.": (
        "hostile/test_doors.py::test_every_door_answers_alike",
        "hostile/test_files.py::test_bombs_take_no_memory",
        "test_headers.py::test_a_decoder_is_given_only_what_pixels_are_made_of",
        "test_headers.py::test_no_image_takes_more_memory_than_its_header_says",
    ),
    "A refused upload leaves no session.": (f"{API}::test_what_is_refused_leaves_no_session",),
    "Where there are too many sessions, empty ones give way.": (
        f"{STORAGE}::test_empty_sessions_go_first_where_there_are_too_many",
    ),
    "Sessions take turns in the queue, and none may have more than half of it.": (
        "test_turns.py::test_owners_take_turns",
        "test_turns.py::test_one_session_leaves_room_for_others",
    ),
}
