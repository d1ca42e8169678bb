//! Producer streams that run to their end, and ones that are cancelled or closed before it.

use super::*;

#[test]
fn a_producer_answers_each_tick_until_it_ends() {
    let conversation = converse(producer_to_the_end());
    let told: Vec<_> = conversation.turns.iter().map(|turn| lines(&turn.told)).collect();
    assert_eq!(
        told,
        [vec![], vec!["output n=0".to_owned()], vec!["output n=1".into()], vec!["finished".into()]]
    );
    assert_eq!(play(producer_of_nothing()), ["finished"]);
    assert_eq!(
        play(producer_finish_with_data()),
        ["output n=0", "log INFO the last one", "output n=1", "log INFO after the last one", "finished"]
    );
    assert_eq!(play(producer_finish()), ["output n=0", "finished"]);
}

#[test]
fn a_producer_can_be_closed_at_any_turn() {
    for script in [producer_closed_before_the_first_tick(), producer_with_header_closed_at_once()] {
        let conversation = converse(script);
        assert_eq!(conversation.lines().last().unwrap(), "finished");
        assert_eq!(conversation.turns.last().unwrap().told, [Told::Finished]);
        assert_eq!(conversation.cancel_hooks, 0);
    }
    assert_eq!(play(producer_closed_in_the_middle()), ["output n=0", "output n=1", "finished"]);
}

#[test]
fn a_cancel_runs_the_hook_once_and_is_no_error() {
    for (script, outputs) in
        [(producer_cancelled_before_the_first_tick(), 0), (producer_cancelled_in_the_middle(), 2)]
    {
        let conversation = converse(script);
        assert_eq!(conversation.cancel_hooks, 1);
        assert_eq!(conversation.lines().len(), outputs + 1);
        assert_eq!(conversation.turns.last().unwrap().told, [Told::Finished]);
    }
}

#[test]
fn a_failing_cancel_hook_changes_nothing() {
    let conversation = converse(producer_with_panicking_cancel_hook());
    assert_eq!(conversation.lines(), ["output n=0", "finished"]);
    assert_eq!(conversation.cancel_hooks, 1);
}

#[test]
fn a_cancel_hook_may_log() {
    assert_eq!(play(producer_with_logging_cancel_hook()), ["output n=0", "log INFO cancelled", "finished"]);
}

#[test]
fn logs_keep_their_place_before_and_after_the_data() {
    assert_eq!(
        play(producer_with_logs()),
        [
            "log INFO opening",
            "log INFO before 0",
            "output n=0",
            "log DEBUG after 0",
            "log INFO before 1",
            "finished"
        ]
    );
}

#[test]
fn a_header_comes_ahead_of_the_data() {
    let conversation = converse(producer_with_header());
    assert_eq!(
        conversation.lines(),
        ["log INFO ahead of the header", "header total=1, label=all", "output n=0", "finished"]
    );
    assert_eq!(conversation.turns[0].told.len(), 2, "the header comes without a tick");
}

#[test]
fn an_error_at_open_takes_the_place_of_header_and_stream() {
    assert_eq!(
        play(producer_failing_to_open_with_header()),
        ["log INFO ahead of the header", "failed ValueError: expected a count of 0 or more", "finished"]
    );
    assert_eq!(
        play(producer_failing_to_open()),
        ["log INFO opening", "failed RuntimeError: failed to open", "finished"]
    );
    assert_eq!(play(producer_panicking_at_open())[1..].len(), 2);
    // WIRE_PROTOCOL 9, phase 1.5: on the empty schema.
    for script in [producer_failing_to_open_with_header(), producer_failing_to_open()] {
        for (batch, _) in batches_of(&converse(script).response()) {
            assert_eq!((batch.num_rows(), batch.num_columns()), (0, 0));
        }
    }
}

#[test]
fn a_stream_that_does_not_fit_its_declaration_does_not_open() {
    for script in
        [producer_without_its_header(), producer_with_undeclared_header(), producer_without_output_schema()]
    {
        assert_error(&refused(script), "TypeError", Code::Unknown, None, &[]);
    }
}

#[test]
fn an_error_in_a_turn_ends_the_stream() {
    for (script, error_type) in [
        (producer_error(), "RuntimeError"),
        (producer_error_after_emit(), "RuntimeError"),
        (producer_panic(), "Panic"),
        (producer_silence(), "RuntimeError"),
        (producer_two_batches(), "RuntimeError"),
        (producer_misfit(), "ValueError"),
    ] {
        let conversation = converse(script);
        let told: Vec<_> = conversation.told().collect();
        let [Told::Output(..), Told::Failed(error), Told::Finished] = told[..] else { panic!("{told:?}") };
        assert_error(error, error_type, Code::Unknown, None, &[]);
        assert!(conversation.idle);
    }
    assert_eq!(play(producer_error_at_once()), ["failed RuntimeError: failed in a turn", "finished"]);
    assert_eq!(
        play(producer_log_and_error()),
        ["output n=0", "log ERROR going down", "failed ValueError: failed after a log", "finished"]
    );
}

#[test]
fn the_handler_may_choose_the_output_schema() {
    assert_eq!(
        play(producer_of_dynamic_schema()),
        ["output c0=0, c1=1, c2=2", "output c0=0, c1=1, c2=2", "finished"]
    );
    assert_eq!(play(producer_of_no_columns()), ["output 1 rows of 0 columns", "finished"]);
}

#[test]
fn metadata_of_ticks_arrives_and_metadata_of_batches_leaves() {
    assert_eq!(
        play(producer_tick_metadata()),
        [r#"output n=0 {"turn": "0"}"#, r#"output n=1 {"mark": "second", "turn": "1"}"#, "finished"]
    );
}

#[test]
fn emitted_columns_are_brought_to_the_schema() {
    assert_eq!(play(producer_emitting_columns_in_another_order()), ["output a=1.5, b=x", "finished"]);
}

#[test]
fn dictionaries_stay_grow_and_change_with_logs_between() {
    let log = "log INFO a log between dictionaries";
    assert_eq!(
        play(producer_of_dictionaries()),
        [
            log,
            "output color=red; color=blue; color=red",
            log,
            "output color=red; color=blue; color=red",
            log,
            "output color=red; color=blue; color=green",
            log,
            "output color=black",
            "finished"
        ]
    );
}

#[test]
fn large_batches_pass_whole() {
    let conversation = converse(producer_of_large_batches());
    for turn in &conversation.turns[1..3] {
        let [Told::Output(batch, _)] = &turn.told[..] else { panic!("{:?}", turn.told.len()) };
        let texts = batch.column(1).as_string::<i32>();
        assert_eq!((batch.num_rows(), texts.value(1999)), (2000, "row 1999"));
    }
}
