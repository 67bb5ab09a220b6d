"""Threats from many, slow or simultaneous requests: exhausted memory, threads, connections, queues and processes."""

from __future__ import annotations

from tests.threats.line import ABUSE, API, CONNECTIONS, ENGINE, FAULTS, GUARD, STORAGE, Line

LINES: dict[int, Line] = {
    35: Line(
        "images that take far more time or memory to decode than their bytes, eight of them at once",
        "413, or 503 with Retry-After, within one budget of processes, memory and time; everything else is answered",
        (
            "imaging/test_decoders.py::test_an_image_that_takes_too_long_is_refused_and_others_go_on",
            "imaging/test_decoders.py::test_one_that_takes_more_memory_than_its_header_says_is_refused",
            "imaging/test_decoders.py::test_large_images_wait_for_each_other",
            "imaging/test_decoders.py::test_while_eight_hostile_images_are_decoded_everything_else_is_answered",
            "imaging/test_decoders.py::test_every_upload_is_bounded",
            "imaging/test_headers.py::test_no_image_takes_more_memory_than_its_header_says",
        ),
    ),
    36: Line(
        "requests that wait for the model, uploads that take long, work that another site starts",
        "503 with Retry-After beyond half of the threads; pages, polls and /healthz are answered; 403",
        (
            "jobs/test_gate.py::test_the_fifth_question_is_told_to_come_back",
            "jobs/test_gate.py::test_a_question_whose_process_dies_is_told_to_come_back",
            f"{ABUSE}::test_requests_that_wait_leave_threads_for_others",
            f"{ENGINE}::test_the_worker_gives_way_to_the_server",
            f"{CONNECTIONS}::test_uploads_at_work_keep_no_page_waiting",
            f"{CONNECTIONS}::test_requests_that_take_a_while_are_known_by_their_address",
            f"{GUARD}::test_every_route_is_closed_to_other_sites_unless_it_is_named",
            f"{GUARD}::test_what_other_sites_may_link_to_starts_no_work",
        ),
    ),
    37: Line(
        "slow heads, bodies and readers, connections that are held, bodies before the password, refused uploads, one "
        "session that queues everything",
        "closed in time; others are served; nothing of it is kept; sessions have equal shares",
        (
            f"{CONNECTIONS}::test_slow_ones_are_closed",
            f"{CONNECTIONS}::test_a_body_that_keeps_coming_is_taken_however_long_it_takes",
            f"{CONNECTIONS}::test_one_that_does_not_take_its_answer_is_closed_and_holds_no_thread",
            f"{CONNECTIONS}::test_another_client_is_served_while_two_hundred_connections_are_held",
            f"{CONNECTIONS}::test_a_request_that_is_answered_is_not_closed_for_others",
            f"{CONNECTIONS}::test_behind_a_proxy_one_address_may_hold_all",
            f"{CONNECTIONS}::test_a_body_is_refused_before_it_comes",
            f"{CONNECTIONS}::test_what_follows_a_refused_head_is_no_request",
            f"{CONNECTIONS}::test_malformed_bodies_are_refused_and_what_follows_is_no_request",
            f"{CONNECTIONS}::test_chunks_that_are_too_many_are_refused_in_our_own_words",
            f"{CONNECTIONS}::test_what_is_no_upload_may_not_be_large",
            f"{CONNECTIONS}::test_a_client_that_asks_first_is_told_to_go_on",
            f"{CONNECTIONS}::test_a_large_body_lies_in_the_folder_of_the_server",
            f"{ABUSE}::test_nothing_lies_outside_the_folder_of_the_server",
            f"{API}::test_what_is_refused_leaves_no_session",
            f"{STORAGE}::test_empty_sessions_go_first_where_there_are_too_many",
            "jobs/test_turns.py::test_who_comes_later_waits_for_one_of_each_other",
            "jobs/test_turns.py::test_one_session_leaves_room_for_others",
        ),
    ),
    40: Line(
        "sessions that expire or are deleted while a request or a worker is at them",
        "one that is in use lives; what is deleted is gone at once and stays gone",
        (
            f"{STORAGE}::test_a_session_that_a_request_is_about_does_not_expire",
            f"{STORAGE}::test_a_session_with_work_under_way_does_not_expire",
            f"{STORAGE}::test_what_is_deleted_is_gone_at_once_though_a_worker_writes_into_it",
            f"{FAULTS}::test_a_session_does_not_expire_under_its_run",
            f"{API}::test_a_session_that_is_deleted_during_a_request_is_no_fault_of_the_server",
        ),
    ),
    41: Line(
        "threads, loops and processes that end",
        "replaced, or the server says that it is not ready",
        (
            f"{CONNECTIONS}::test_an_error_of_the_loop_ends_no_server",
            f"{CONNECTIONS}::test_a_connection_that_fails_ends_no_other",
            f"{ENGINE}::test_a_killed_worker_fails_one_shard_and_is_replaced",
            "jobs/test_worker_faults.py::test_one_that_hangs_is_replaced",
            f"{STORAGE}::test_a_server_that_does_not_look_after_its_sessions_is_not_ready",
        ),
    ),
}
