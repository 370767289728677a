//! What ends is started again.

use super::*;
use crate::context::Context;
use crate::machine::State;
use crate::recovery::{Next, look};
use crate::settings::Settings;

fn process() -> String {
    format!("haproxy-{LB}")
}

impl Amphora {
    fn crash(&self) {
        self.machine.programs.borrow_mut().insert(process(), State::Exited(Some(139)));
    }

    fn look(&self) -> Next {
        let settings = Settings::default();
        look(Context { files: &*self.files, machine: &*self.machine, settings: &settings }, &process()).unwrap()
    }

    fn starts(&self) -> usize {
        self.machine.take_done().iter().filter(|done| done.starts_with("start ")).count()
    }
}

#[test]
fn a_crash_is_followed_by_a_start_at_once_and_later_ones_by_waits() {
    let amphora = amphora().configured();
    amphora.act("start").expect(202);
    amphora.machine.take_done();
    amphora.crash();
    assert_eq!((amphora.look(), amphora.starts()), (Next::Done, 1));
    amphora.crash();
    assert_eq!((amphora.look(), amphora.starts()), (Next::LookAgain(1000), 0));
    assert_eq!((amphora.look(), amphora.starts()), (Next::LookAgain(1000), 0));
    amphora.machine.clock.set(1000);
    assert_eq!((amphora.look(), amphora.starts()), (Next::Done, 1));
    amphora.crash();
    assert_eq!(amphora.look(), Next::LookAgain(2000));
    amphora.act("reload").expect(202);
    amphora.crash();
    amphora.starts();
    assert_eq!((amphora.look(), amphora.starts()), (Next::Done, 1), "what the controller starts begins anew");
}

#[test]
fn crashes_without_end_come_to_an_end() {
    let amphora = amphora().configured();
    amphora.act("start").expect(202);
    *amphora.machine.stillborn.borrow_mut() = true;
    amphora.machine.take_done();
    amphora.crash();
    let mut looks = 0;
    let mut starts = 0;
    while starts < 20 && looks < 100 {
        looks += 1;
        match amphora.look() {
            Next::LookAgain(wait) => amphora.machine.clock.set(amphora.machine.clock.get() + wait),
            Next::Done => {}
        }
        let more = amphora.starts();
        starts += more;
    }
    assert_eq!(starts, 8);
}

#[test]
fn what_was_stopped_deleted_or_runs_again_is_left_alone() {
    let amphora = amphora().configured();
    amphora.act("start").expect(202);
    amphora.machine.take_done();
    assert_eq!((amphora.look(), amphora.starts()), (Next::Done, 0));
    amphora.act("stop").expect(202);
    assert_eq!((amphora.look(), amphora.starts()), (Next::Done, 0));
    amphora.crash();
    amphora.act("stop").expect(202);
    assert_eq!((amphora.look(), amphora.starts()), (Next::Done, 0), "not what was to be started again, either");
    amphora.delete(&format!("/1.0/listeners/{LB}")).expect(200);
    amphora.crash();
    assert_eq!((amphora.look(), amphora.starts()), (Next::Done, 0));
}

#[test]
fn what_ends_while_the_controller_starts_it_is_left_to_that_call() {
    let amphora = amphora().configured();
    let settings = Settings::default();
    let context = Context { files: &*amphora.files, machine: &*amphora.machine, settings: &settings };
    let held: Result<Next, crate::files::Error> = crate::recovery::held(context, &process(), || {
        amphora.crash();
        Ok(amphora.look())
    });
    assert_eq!((held, amphora.starts()), (Ok(Next::LookAgain(1000)), 0));
    assert_eq!((amphora.look(), amphora.starts()), (Next::Done, 1), "afterwards it is looked after again");
}

#[test]
fn a_call_that_never_came_to_its_end_does_not_hold_for_ever() {
    let amphora = amphora().configured();
    let left = r#"{"ends": [], "due": null, "held": 60000}"#;
    amphora.files.write(&format!("run/ended/{}.json", process()), left.as_bytes()).unwrap();
    amphora.crash();
    assert_eq!((amphora.look(), amphora.starts()), (Next::LookAgain(1000), 0));
    amphora.machine.clock.set(60_000);
    assert_eq!((amphora.look(), amphora.starts()), (Next::Done, 1));
}
