//! The farm as this node has applied it, looked up when somebody asks.
//!
//! Counts are kept by the state and cost O(1). Rolls have a series each, at most [`ROLLS_MAX`].

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use crate::consensus::Consensus;
use crate::domain::model::{Filament, JobStatus};
use crate::domain::state::State;
use crate::domain::weight::Grams;
use crate::service::FarmService;
use crate::telemetry::{gauge, gauges};

/// Most rolls that have series of their own: the first by id that are not empty. Rolls come and go
/// for as long as a farm lives, and only those in use are of interest.
const ROLLS_MAX: usize = 1_000;
/// Longest colour shown in a label, in characters; people may write whole sentences.
const COLOR_LEN_MAX: usize = 64;

/// What [`State`] tells.
pub(super) struct FarmView<C> {
    service: FarmService<C>,
}

impl<C> FarmView<C> {
    pub(super) fn new(service: FarmService<C>) -> FarmView<C> {
        FarmView { service }
    }
}

impl<C> fmt::Debug for FarmView<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FarmView").finish_non_exhaustive()
    }
}

impl<C: Consensus> Collector for FarmView<C> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        encode(&mut encoder, &self.service.local_state())
    }
}

fn encode(to: &mut DescriptorEncoder<'_>, state: &State) -> fmt::Result {
    gauge(
        to,
        "printers",
        "Printers of the farm.",
        state.printer_count(),
    )?;
    gauge(
        to,
        "filaments",
        "Rolls of filament, empty ones too.",
        state.filament_count(),
    )?;
    gauges(
        to,
        "jobs",
        "Print jobs, by status.",
        JobStatus::ALL.map(|status| ([("status", status.name())], state.job_count_of(status))),
    )?;
    gauge(
        to,
        "idempotency_keys",
        "Answers remembered for idempotency keys.",
        state.remembered_count(),
    )?;
    gauge(to, "events", "Events kept.", state.events().len())?;
    rolls(
        to,
        state,
        "filament_remaining_grams",
        "What is left on a roll, reserved or not; for the first 1000 rolls that are not empty.",
        |filament| filament.remaining_weight_in_grams,
    )?;
    rolls(
        to,
        state,
        "filament_reserved_grams",
        "What queued and running jobs hold of a roll; for the same rolls.",
        |filament| state.reserved(filament),
    )
}

fn rolls(
    to: &mut DescriptorEncoder<'_>,
    state: &State,
    name: &str,
    help: &str,
    grams: impl Fn(&Filament) -> Grams,
) -> fmt::Result {
    let in_use = state
        .filaments()
        .filter(|filament| filament.remaining_weight_in_grams > Grams::ZERO)
        .take(ROLLS_MAX);
    gauges(to, name, help, in_use.map(|f| (labels(f), grams(f).get())))
}

fn labels(filament: &Filament) -> [(&'static str, String); 3] {
    [
        ("filament_id", filament.id.to_string()),
        ("type", filament.filament_type.name().to_owned()),
        (
            "color",
            filament.color.chars().take(COLOR_LEN_MAX).collect(),
        ),
    ]
}
