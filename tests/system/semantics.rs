//! What users of other gateways expect, settled row by row, and the tests that hold each row. A row without a test would be
//! a promise; a test that was renamed or removed is missed here.
//!
//! Each row begins with the words with which the list of what was settled begins it, so that both can be laid side by side.

use crate::gateway::root;
use std::collections::BTreeSet;
use std::path::Path;

enum Held {
    By(&'static [&'static str]),
    /// Not yet, for this reason.
    Later(&'static str),
}

use Held::{By, Later};

/// The beginning of a row, what it means here where that is not the same, and who holds it.
struct Row(&'static str, &'static str, Held);

/// Where the sources disagree.
const CONFLICTS: &[Row] = &[
    Row(
        "header template variables",
        "who callers are, where something in front says so; an unknown variable is a mistake of the configuration",
        By(&[
            "header_templates",
            "all_that_plugins_find_is_told_at_once",
            "a_template_that_asks_for_an_unknown_caller_is_a_mistake",
            "at_start_what_plugins_find_takes_out_one_provider_alone",
            "who_calls_is_taken_from_the_header_that_is_trusted",
            "who_callers_are_is_said_in_headers",
            "the_configurations_headers_are_sent",
        ]),
    ),
    Row(
        "non-streaming endpoints",
        "and, beyond it, endpoints that only stream",
        By(&[
            "a_streaming_caller_is_served_by_a_service_that_does_not_stream",
            "the_one_chunk_has_the_calls_with_their_places_and_the_usage",
            "a_plain_caller_is_served_by_a_service_that_only_streams",
            "calls_that_come_in_pieces_are_whole_for_a_plain_caller",
        ]),
    ),
    Row("`models: []` on a key", "", By(&["which_models_a_key_serves", "keys_are_chosen_by_weight_and_model"])),
    Row(
        "missing or wrong gateway key",
        "of the admin API alone: there are no keys for callers yet",
        By(&["with_a_key_whoever_has_it_may_from_everywhere"]),
    ),
    Row("missing or wrong gateway key", "of callers", Later("callers are not authenticated, and the manual says so")),
    Row(
        "an operation that a provider is not allowed or not able to do",
        "",
        By(&[
            "operations_that_are_not_allowed_are_not_implemented",
            "what_a_provider_cannot_do_is_said_by_name",
            "what_is_not_served_at_all_is_said_by_name_too",
        ]),
    ),
    Row(
        "the body's `model`",
        "",
        By(&[
            "the_key_that_serves_the_model_is_used",
            "a_name_can_stand_for_several_targets",
            "one_loop_asks_the_models_of_three_providers_by_their_names",
            "a_path_names_the_provider_and_its_model_is_pinned",
            "a_pinned_model_is_that_of_every_operation",
        ]),
    ),
    Row(
        "what to do with a field that the target cannot say",
        "",
        By(&["hints_are_those_of_the_candidate_that_answered", "strictness_is_the_requests_or_the_configurations"]),
    ),
];

/// Custom providers in Bifrost's shape.
const BIFROST: &[Row] = &[
    Row(
        "`providers: {<name>: {keys, network_config",
        "",
        By(&[
            "every_block_is_a_good_configuration",
            "every_block_does_what_it_says",
            "a_block_in_bifrosts_shape_is_taken",
            "which_plugin_serves_a_provider",
            "the_post_that_others_document_works_as_it_stands",
            "commands_are_run_as_they_stand",
        ]),
    ),
    Row(
        "`allowed_requests`: absent",
        "",
        By(&["allowed_requests", "below_a_provider_too_only_what_is_allowed_is_served"]),
    ),
    Row("`allowed_requests`: absent", "realtime, batch, file", Later("nobody serves them: 501 by name")),
    Row(
        "`request_path_overrides`: operation",
        "",
        By(&[
            "path_overrides_are_paths_or_urls",
            "an_override_takes_the_place_of_the_plugins_path",
            "each_way_of_an_operation_has_an_override_of_its_own",
            "base_urls_work_with_and_without_the_version",
            "a_base_url_with_a_version_is_not_given_another",
        ]),
    ),
    Row(
        "`request_path_overrides`: operation",
        "Not for gemini and bedrock",
        By(&["all_that_plugins_find_is_told_at_once", "paths_that_are_fixed_are_not_replaced"]),
    ),
    Row(
        "`is_key_less: true`",
        "",
        By(&["a_provider_without_keys_is_sent_no_credential", "who_wants_a_key_is_out_of_service_without_one"]),
    ),
    Row(
        "Keys: `{name, value, models[]",
        "",
        By(&[
            "keys_are_chosen_by_weight_and_model",
            "keys_have_names_weights_and_aliases",
            "no_mistake_shows_a_misplaced_secret",
            "a_key_with_a_line_break_is_refused_unquoted",
        ]),
    ),
    Row(
        "`network_config`: `base_url",
        "",
        By(&[
            "network",
            "time_limits_are_kept",
            "the_first_token_has_a_limit_of_its_own",
            "idle_connections_are_kept_as_long_as_the_configuration_says",
            "connections_to_a_host_are_bounded_and_requests_wait_for_one",
            "to_believe_anybody_and_to_name_an_authority_exclude_each_other",
            "an_upstream_is_believed_if_somebody_vouches_for_it",
        ]),
    ),
    Row(
        "`concurrency_and_buffer_size {concurrency, buffer_size}`",
        "",
        By(&[
            "a_provider_gets_no_more_than_it_may_and_the_rest_waits_or_is_refused",
            "a_stream_is_on_its_way_until_it_ends",
            "a_caller_who_never_reads_gives_its_turn_back",
        ]),
    ),
    Row(
        "Retries: 5xx and network",
        "the same key after a doubling pause, with jitter",
        By(&[
            "what_fails_for_a_moment_is_tried_again",
            "every_operation_is_tried_again_with_the_same_bytes",
            "pauses_double_up_to_their_bound",
            "after_the_last_retry_the_first_failure_is_the_outcome",
        ]),
    ),
    Row("Retries: 5xx and network", "429", By(&["a_limited_key_makes_way_for_the_next_and_rests"])),
    Row("Retries: 5xx and network", "401/402/403", By(&["a_key_that_is_refused_is_out_and_later_requests_know"])),
    Row("Retries: 5xx and network", "400/404/422", By(&["what_is_wrong_with_the_request_is_tried_once"])),
    Row(
        "Retries: 5xx and network",
        "`Retry-After` and reset headers",
        By(&[
            "how_long_to_wait_is_said_in_many_ways",
            "of_several_limits_those_that_are_used_up_count",
            "every_fault_has_its_outcome_in_every_dialect",
            "where_all_keys_rest_nobody_is_asked",
            "a_rest_has_a_bound",
        ]),
    ),
    Row(
        "Fallbacks: the body's",
        "by body, configuration and header; where all fail, the first error",
        By(&[
            "fallbacks_of_the_body_come_before_those_of_the_configuration_and_go_no_further",
            "fallbacks_of_a_header_name_providers_or_addresses",
            "fallbacks_of_the_configuration_rescue_a_request",
            "every_operation_is_taken_over_by_another_provider_with_its_own_model",
            "where_all_fail_the_first_error_is_the_answer",
        ]),
    ),
    Row(
        "Fallbacks: the body's",
        "each with its own retries; only those whose credentials are configured",
        By(&["a_fallback_has_retries_of_its_own", "who_has_no_credential_is_passed_over"]),
    ),
];

/// Custom providers in Braintrust's shape.
const BRAINTRUST: &[Row] = &[
    Row(
        "Per model: `format`",
        "",
        By(&[
            "models_and_what_is_known_of_them",
            "what_is_configured_is_listed_with_what_is_known_of_it",
            "what_a_request_cost_is_said_counted_and_logged",
        ]),
    ),
    Row("In Braintrust `window`", "", By(&["routing_that_makes_no_sense"])),
    Row(
        "Configured headers are set over",
        "",
        By(&[
            "the_operators_headers_are_over_the_callers",
            "of_a_callers_headers_an_upstream_gets_what_is_meant_for_it",
            "the_callers_own_key_is_never_used",
            "what_a_caller_says_of_itself_stays_here",
        ]),
    ),
    Row(
        "A streaming caller on a non-streaming endpoint",
        "",
        By(&[
            "everything_stands_in_one_chunk_and_the_usage_in_the_next",
            "an_answer_that_cannot_be_read_is_an_error_and_no_empty_chunk",
        ]),
    ),
    Row(
        "SSRF: http and https only",
        "",
        By(&[
            "names_are_checked_by_what_they_resolve_to",
            "some_addresses_are_never_called",
            "an_ipv4_address_in_an_ipv6_address_is_what_it_is",
            "connections_are_not_shared_over_the_permission",
        ]),
    ),
    Row(
        "SSRF: http and https only",
        "redirects are not followed",
        By(&["a_credential_goes_to_its_own_upstream_only", "every_fault_has_its_outcome_in_every_dialect"]),
    ),
    Row(
        "`x-bt-use-cache`",
        "`x-bt-endpoint-name` and `x-bt-used-endpoint`",
        By(&["a_header_asks_for_one_provider_or_one_key", "streams_and_failures_say_who_it_was_too"]),
    ),
    Row("`x-bt-use-cache`", "the rest of them", Later("caches, organisations and realtime; none of them goes up")),
];

const LANGSMITH: &[Row] = &[Row(
    "`/providers/{name}` with the name URL-encoded",
    "",
    By(&[
        "a_path_names_the_provider_and_its_model_is_pinned",
        "a_pinned_model_is_that_of_every_operation",
        "every_route_of_every_dialect_is_found_below_a_provider",
        "langchain_uses_the_route_of_one_provider",
        "commands_are_run_as_they_stand",
    ]),
)];

/// What hurt users elsewhere.
const HURT: &[Row] = &[
    Row("Base URL forced to `/v1`", "", By(&["a_base_url_with_a_version_is_not_given_another"])),
    Row(
        "Base URL forced to `/v1`",
        "custom providers missing from `/v1/models`",
        By(&["what_is_configured_is_listed_with_what_is_known_of_it", "a_provider_that_lists_none_is_asked_once"]),
    ),
    Row(
        "Base URL forced to `/v1`",
        "nobody could see which chain applied",
        By(&["candidates_stand_in_order_with_what_they_would_be_sent", "who_keeps_failing_stands_last"]),
    ),
    Row("Plugins: one crash", "", By(&["each_misbehaviour_fails_its_own_request_only"])),
    Row(
        "Plugins: one crash",
        "memory after a swap, a leak on every reload",
        By(&["a_thousand_swaps_leave_nothing_behind", "three_hundred_changes_leave_nothing_behind"]),
    ),
    Row(
        "Plugins: one crash",
        "a plugin that buffers a whole stream",
        By(&["a_caller_that_does_not_read_holds_the_upstream_back", "nobody_keeps_a_large_state"]),
    ),
    Row("Plugins: one crash", "a truncated wasm file", By(&["what_cannot_be_loaded_is_refused_with_the_reason"])),
    Row("Plugins: one crash", "which version is needed", By(&["a_contract_from_the_future"])),
    Row("Plugins: one crash", "a deadline over blocking WASI", By(&["a_looping_or_sleeping_plugin_delays_nobody"])),
    Row(
        "Plugins: one crash",
        "recompiling, or rebuilding the linker, per request",
        By(&["a_request_compiles_nothing_and_hardly_makes_an_instance", "instances_are_kept_between_requests"]),
    ),
    Row(
        "Streams: an SSE event split over two reads",
        "split, packed, compressed, many to one or one to many, lost pieces",
        By(&[
            "every_split_gives_the_same",
            "delivery_changes_nothing",
            "delivery_changes_nothing_in_recorded_streams",
            "one_event_may_become_many_chunks",
        ]),
    ),
    Row(
        "Streams: an SSE event split over two reads",
        "an overload in a 200, a truncated stream, a 429 amid one, no limit on headers",
        By(&[
            "every_fault_has_its_outcome_in_every_dialect",
            "a_failure_before_the_first_content_is_an_error_status",
            "a_failure_after_the_first_content_is_an_error_event",
        ]),
    ),
    Row(
        "Streams: an SSE event split over two reads",
        "separate limits",
        By(&[
            "time_limits_are_kept",
            "the_first_token_has_a_limit_of_its_own",
            "all_that_is_tried_has_a_bound_in_time",
            "a_stream_has_a_bound_in_time_too",
            "comments_do_not_keep_a_stream_alive_beyond_its_time",
        ]),
    ),
    Row("Nagle against delayed ACK", "", By(&["no_socket_waits_for_more_to_send"])),
    Row(
        "Large bodies: base64 images",
        "",
        By(&[
            "an_upload_is_held_once",
            "bodies_above_the_limit_are_refused_before_they_fill_memory",
            "a_body_of_many_megabytes_within_the_limit_passes",
        ]),
    ),
];

#[test]
fn every_row_is_held_by_tests() {
    let mut tests = BTreeSet::new();
    for folder in ["tests/system", "host/src"] {
        collect(&root().join(folder), &mut tests);
    }
    let mut missed = Vec::new();
    for Row(row, means, held) in [CONFLICTS, BIFROST, BRAINTRUST, LANGSMITH, HURT].into_iter().flatten() {
        match held {
            By(held_by) => {
                missed.extend(held_by.iter().filter(|test| !tests.contains(**test)).map(|test| (row, means, *test)));
                assert!(!held_by.is_empty(), "{row}");
            }
            Later(reason) => assert!(!reason.is_empty(), "{row}: not yet, and why?"),
        }
    }
    assert!(missed.is_empty(), "no such tests: {missed:#?}");
}

/// The names of all tests.
fn collect(folder: &Path, tests: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source");
            let after_attribute =
                text.split("test]\n").skip(1).filter_map(|rest| rest.split_once("fn ")?.1.split_once('('));
            tests.extend(after_attribute.map(|(name, _)| name.to_owned()));
        }
    }
}
