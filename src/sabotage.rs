//! A defect on purpose, for the test that the fault tests would notice it.
//!
//! It exists in debug builds only, and there only while the environment asks for it. A release
//! build does not look at the environment and has no code for it.

use std::sync::OnceLock;

use crate::domain::command::Op;
use crate::domain::outcome::Refusal;
use crate::domain::state::State;

/// Names the defect in the environment.
const VARIABLE: &str = "RAFT3D_SABOTAGE";

/// Whether the grams of a job are looked up before it is proposed, in what this node happens to
/// know, and not where the log is applied.
pub fn reserves_outside_the_log() -> bool {
    static CHOSEN: OnceLock<bool> = OnceLock::new();
    cfg!(debug_assertions)
        && *CHOSEN.get_or_init(|| {
            std::env::var(VARIABLE).is_ok_and(|defect| defect == "reservation-outside-the-log")
        })
}

/// Why `op` would be refused in `state` for want of filament, if it would.
pub fn refusal(state: &State, op: &Op) -> Option<Refusal> {
    let Op::CreateJob(new) = op else {
        return None;
    };
    let filament = state.filament(&new.filament_id.key())?;
    let available = state.available(filament);
    (new.print_weight_in_grams > available).then(|| Refusal::NotEnoughFilament {
        filament_id: filament.id.clone(),
        requested: new.print_weight_in_grams,
        available,
    })
}
