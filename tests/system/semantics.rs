//! What users of other gateways expect, settled row by row, and the tests that hold each row. A row without a test would be
//! a promise; a test that was renamed or removed is missed here.

use crate::gateway::root;
use std::collections::BTreeSet;
use std::path::Path;

const ROWS: &[(&str, &[&str])] = &[
    // Where the sources disagree.
    (
        "an unknown variable in a header template is a configuration error",
        &[
            "all_that_plugins_find_is_told_at_once",
            "a_template_that_asks_for_an_unknown_caller_is_a_mistake",
            "at_start_what_plugins_find_takes_out_one_provider_alone",
            "header_templates",
        ],
    ),
    (
        "a streaming caller on an endpoint that does not stream gets one chunk",
        &[
            "a_streaming_caller_is_served_by_a_service_that_does_not_stream",
            "the_one_chunk_has_the_calls_with_their_places_and_the_usage",
        ],
    ),
    (
        "a plain caller on an endpoint that only streams gets a whole answer",
        &[
            "a_plain_caller_is_served_by_a_service_that_only_streams",
            "calls_that_come_in_pieces_are_whole_for_a_plain_caller",
        ],
    ),
    (
        "absent, [] and [\"*\"] mean all models, and blacklisted ones win",
        &["which_models_a_key_serves", "keys_are_chosen_by_weight_and_model"],
    ),
    ("a missing or wrong key of the gateway's own is 401", &["with_a_key_whoever_has_it_may_from_everywhere"]),
    (
        "what a provider may not or cannot do is 501 by name",
        &[
            "operations_that_are_not_allowed_are_not_implemented",
            "what_a_provider_cannot_do_is_said_by_name",
            "what_is_not_served_at_all_is_said_by_name_too",
        ],
    ),
    (
        "a model is addressed by provider, by bare name, or pinned",
        &[
            "the_key_that_serves_the_model_is_used",
            "a_name_can_stand_for_several_targets",
            "a_path_names_the_provider_and_its_model_is_pinned",
        ],
    ),
    (
        "hints are dropped and named, or refused where the request or the configuration is strict",
        &["hints_are_those_of_the_candidate_that_answered", "strictness_is_the_requests_or_the_configurations"],
    ),
    // Bifrost's shape.
    (
        "a custom provider is a view of a base",
        &[
            "every_block_is_a_good_configuration",
            "every_block_does_what_it_says",
            "a_block_in_bifrosts_shape_is_taken",
            "which_plugin_serves_a_provider",
        ],
    ),
    (
        "allowed_requests: absent is all, {} is none, a stream is an operation of its own",
        &["allowed_requests", "below_a_provider_too_only_what_is_allowed_is_served"],
    ),
    (
        "request_path_overrides are paths or full URLs",
        &["path_overrides_are_paths_or_urls", "an_override_takes_the_place_of_the_plugins_path"],
    ),
    (
        "a base URL with a version is not given another",
        &["base_urls_work_with_and_without_the_version", "a_base_url_with_a_version_is_not_given_another"],
    ),
    (
        "an unresolved key names its variable, never its value",
        &["no_mistake_shows_a_misplaced_secret", "a_key_with_a_line_break_is_refused_unquoted"],
    ),
    (
        "network_config: the two ways of trust exclude each other",
        &[
            "to_believe_anybody_and_to_name_an_authority_exclude_each_other",
            "an_upstream_is_believed_if_somebody_vouches_for_it",
        ],
    ),
    (
        "network_config: its time limits",
        &[
            "time_limits_are_kept",
            "the_first_token_has_a_limit_of_its_own",
            "connections_to_a_host_are_bounded_and_requests_wait_for_one",
        ],
    ),
    (
        "so many calls at once, so many waiting, more are refused with Retry-After",
        &[
            "a_provider_gets_no_more_than_it_may_and_the_rest_waits_or_is_refused",
            "a_stream_is_on_its_way_until_it_ends",
        ],
    ),
    (
        "5xx and network: the same key after a doubling pause",
        &[
            "what_fails_for_a_moment_is_tried_again",
            "pauses_double_up_to_their_bound",
            "after_the_last_retry_the_first_failure_is_the_outcome",
        ],
    ),
    ("429: the next key", &["a_limited_key_makes_way_for_the_next_and_rests"]),
    ("401, 402, 403: that key is out, the next at once", &["a_key_that_is_refused_is_out_and_later_requests_know"]),
    ("400, 404, 422 are final", &["what_is_wrong_with_the_request_is_tried_once"]),
    (
        "Retry-After and reset headers in every spelling, bounded, shared",
        &[
            "how_long_to_wait_is_said_in_many_ways",
            "of_several_limits_those_that_are_used_up_count",
            "where_all_keys_rest_nobody_is_asked",
            "a_rest_has_a_bound",
        ],
    ),
    (
        "fallbacks by body, header and configuration; the first error where all fail",
        &[
            "fallbacks_of_the_body_come_before_those_of_the_configuration_and_go_no_further",
            "fallbacks_of_a_header_name_providers_or_addresses",
            "fallbacks_of_the_configuration_rescue_a_request",
            "where_all_fail_the_first_error_is_the_answer",
        ],
    ),
    // Braintrust's shape.
    (
        "`window` and `js` are refused with the reason, a flavor is short for operations",
        &["routing_that_makes_no_sense"],
    ),
    ("configured headers are over the caller's", &["the_operators_headers_are_over_the_callers"]),
    (
        "what is a caller's own never goes up",
        &[
            "of_a_callers_headers_an_upstream_gets_what_is_meant_for_it",
            "the_callers_own_key_is_never_used",
            "what_a_caller_says_of_itself_stays_here",
        ],
    ),
    (
        "an answer that does not parse is an error, not an empty chunk",
        &["an_answer_that_cannot_be_read_is_an_error_and_no_empty_chunk"],
    ),
    (
        "the resolved address is checked, and private networks are opened by provider",
        &[
            "names_are_checked_by_what_they_resolve_to",
            "some_addresses_are_never_called",
            "connections_are_not_shared_over_the_permission",
        ],
    ),
    (
        "prices and what a request cost",
        &["what_a_request_cost_is_said_counted_and_logged", "models_and_what_is_known_of_them"],
    ),
    (
        "x-bt-endpoint-name and x-bt-used-endpoint",
        &["a_header_asks_for_one_provider_or_one_key", "streams_and_failures_say_who_it_was_too"],
    ),
    // LangSmith's shape.
    (
        "/providers/{name}: encoded names, the configuration's model, 501 for the rest",
        &[
            "a_path_names_the_provider_and_its_model_is_pinned",
            "every_route_of_every_dialect_is_found_below_a_provider",
            "langchain_uses_the_route_of_one_provider",
        ],
    ),
    // What hurt users elsewhere.
    (
        "custom providers are in /v1/models",
        &["what_is_configured_is_listed_with_what_is_known_of_it", "a_provider_that_lists_none_is_asked_once"],
    ),
    ("who would be tried can be seen", &["candidates_stand_in_order_with_what_they_would_be_sent"]),
    ("a plugin's crash takes down its own request only", &["each_misbehaviour_fails_its_own_request_only"]),
    ("memory comes back after swaps", &["a_thousand_swaps_leave_nothing_behind"]),
    (
        "no plugin buffers a stream, and a slow caller holds the upstream back",
        &["a_caller_that_does_not_read_holds_the_upstream_back", "nobody_keeps_a_large_state"],
    ),
    ("a truncated plugin is refused with the reason", &["what_cannot_be_loaded_is_refused_with_the_reason"]),
    ("a deadline covers sleeping plugins, too", &["a_looping_or_sleeping_plugin_delays_nobody"]),
    (
        "events that are split, packed, many to one or one to many",
        &["every_split_gives_the_same", "delivery_changes_nothing", "one_event_may_become_many_chunks"],
    ),
    (
        "an overload in a 200, a truncated stream, a 429 amid one",
        &[
            "every_fault_has_its_outcome_in_every_dialect",
            "a_failure_before_the_first_content_is_an_error_status",
            "a_failure_after_the_first_content_is_an_error_event",
        ],
    ),
    (
        "separate limits: connect, headers, first token, idle, total",
        &[
            "time_limits_are_kept",
            "the_first_token_has_a_limit_of_its_own",
            "all_that_is_tried_has_a_bound_in_time",
            "a_stream_has_a_bound_in_time_too",
        ],
    ),
    (
        "large bodies are held once and bounded",
        &[
            "an_upload_is_held_once",
            "bodies_above_the_limit_are_refused_before_they_fill_memory",
            "a_body_of_many_megabytes_within_the_limit_passes",
        ],
    ),
];

#[test]
fn every_row_is_held_by_tests() {
    let mut tests = BTreeSet::new();
    for folder in ["tests/system", "host/src"] {
        collect(&root().join(folder), &mut tests);
    }
    let missed: Vec<_> = ROWS
        .iter()
        .flat_map(|(row, held_by)| held_by.iter().map(move |test| (row, *test)))
        .filter(|(_, test)| !tests.contains(*test))
        .collect();
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
