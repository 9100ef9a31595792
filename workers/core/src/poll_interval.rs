//! How long to wait before looking again: a pure function of phase, elapsed time and a poll budget (NFR-2.3, NFR-2.4).
//!
//! The budget exists because an execution may hold 25,000 history events, hard, and one turn of the poll loop costs 9
//! (Wait 2, activity 5, Choice 2; Step Functions quotas and event names, AWS documentation 2026). Each wave gets an equal
//! share of what earlier waves left over; most of a share is spent while the wave usually finishes.

use tidegate_contract::{ExecutionType, WavePhase};

/// Polls all waves of one execution may use together: 1,900 x 9 events leave 7,900 for everything else.
pub const POLL_BUDGET: u32 = 1_900;
/// Attempts of one wave that get a share of the budget each; the machine allows ten.
const MAX_SHARES: u32 = 10;
/// Events of one turn of the poll loop.
pub const EVENTS_PER_POLL: u32 = 9;
/// Polls one cleanup may use.
pub const CLEANUP_POLL_BUDGET: u32 = 120;
/// How long a cleanup is followed before it is called failed. Termination takes 2 to 10 minutes in the field.
pub const CLEANUP_TIMEOUT_SECONDS: u32 = 3_600;

/// Where a wave stands in its time and in the execution's budget.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub phase: WavePhase,
    pub execution_type: ExecutionType,
    /// Since the start of this attempt.
    pub elapsed_seconds: u32,
    pub timeout_seconds: u32,
    /// Polls of the whole execution so far, this wave's included.
    pub polls_used: u32,
    /// Polls of this wave so far, earlier attempts included.
    pub wave_polls: u32,
    /// 1, and one more for every operator's retry of this wave.
    pub attempt: u32,
    pub wave_number: u32,
    pub wave_count: u32,
}

/// Seconds until the next poll; at least 1, and never past the wave's timeout.
pub fn next_poll_seconds(pace: &Pace) -> u32 {
    let remaining = pace.timeout_seconds.saturating_sub(pace.elapsed_seconds).max(1);
    let waves_left = pace.wave_count.saturating_sub(pace.wave_number).saturating_add(1).max(1);
    let used_before = pace.polls_used.saturating_sub(pace.wave_polls);
    let budget = POLL_BUDGET.saturating_sub(used_before);
    // A retry gets a share as if it were one more wave: out of what the first attempt left of its own, a wave that timed out
    // would be looked at again only at its next deadline.
    let (mut share, mut allowed) = (0, 0);
    for _ in 0..pace.attempt.clamp(1, MAX_SHARES) {
        share = (budget - allowed) / waves_left;
        allowed += share;
    }
    let left = allowed.saturating_sub(pace.wave_polls);
    if left == 0 {
        return remaining;
    }
    let expected = expected_wave_seconds(pace.execution_type).min(pace.timeout_seconds);
    let spaced = if pace.elapsed_seconds < expected {
        // Keep three tenths of the share for waves that take longer than they usually do.
        let window = expected - pace.elapsed_seconds;
        let front = left.saturating_sub(share * 3 / 10);
        if front == 0 { remaining.div_ceil(left) } else { window.div_ceil(front) }
    } else {
        remaining.div_ceil(left)
    };
    spaced.max(base_seconds(pace.phase)).min(remaining).max(1)
}

/// Seconds a wave usually takes: S002 2.3 and the captured timelines (808 s pending, 376 s launching, 600 s actions).
pub const fn expected_wave_seconds(execution_type: ExecutionType) -> u32 {
    match execution_type {
        ExecutionType::Drill => 1_200,
        ExecutionType::Recovery => 1_800,
    }
}

/// Field practice is 15 to 30 seconds a job; shorter where the end is near.
const fn base_seconds(phase: WavePhase) -> u32 {
    match phase {
        WavePhase::Starting | WavePhase::Enriching => 5,
        WavePhase::Snapshot | WavePhase::Conversion | WavePhase::PostLaunch => 15,
        WavePhase::Launching => 10,
        WavePhase::Settled => 1,
    }
}

/// Seconds until the next look at a termination.
pub fn next_cleanup_poll_seconds(polls_used: u32, elapsed_seconds: u32) -> u32 {
    let remaining = CLEANUP_TIMEOUT_SECONDS.saturating_sub(elapsed_seconds).max(1);
    let left = CLEANUP_POLL_BUDGET.saturating_sub(polls_used);
    if left == 0 { remaining } else { remaining.div_ceil(left).max(15).min(remaining) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Polls until every attempt of every wave hits its timeout, phases as unhelpful as they come.
    fn polls_of_stuck_plan(
        waves: u32,
        attempts: u32,
        timeout_seconds: u32,
        phase: WavePhase,
        execution_type: ExecutionType,
    ) -> u32 {
        let mut polls_used = 0;
        for wave_number in 1..=waves {
            let mut wave_polls = 0;
            for attempt in 1..=attempts {
                let mut elapsed = 0;
                while elapsed < timeout_seconds {
                    let pace = Pace {
                        phase,
                        execution_type,
                        elapsed_seconds: elapsed,
                        timeout_seconds,
                        polls_used,
                        wave_polls,
                        attempt,
                        wave_number,
                        wave_count: waves,
                    };
                    elapsed += next_poll_seconds(&pace);
                    wave_polls += 1;
                    polls_used += 1;
                }
            }
        }
        polls_used
    }

    proptest! {
        /// NFR-2.4: a plan of any accepted size, stuck to its timeouts, cannot reach 25,000 events.
        #[test]
        fn a_stuck_plan_stays_inside_the_history(
            waves in 1u32..=100, timeout in 5u32..=86_400, phase in 0usize..WavePhase::ALL.len(), drill: bool,
        ) {
            let execution_type = if drill { ExecutionType::Drill } else { ExecutionType::Recovery };
            let polls = polls_of_stuck_plan(waves, 1, timeout, WavePhase::ALL[phase], execution_type);
            // Around each wave: controls, gate, answer, choices, start, close: 60 events cover it.
            let events = polls * EVENTS_PER_POLL + waves * 60 + CLEANUP_POLL_BUDGET * EVENTS_PER_POLL + 100;
            prop_assert!(events < 25_000, "{events} events");
        }

        /// Retries share the same budget; once it is spent, each attempt is looked at once, at its end.
        #[test]
        fn retries_of_a_stuck_plan_stay_inside_the_budget(waves in 1u32..=20, attempts in 1u32..=10, timeout in 5u32..=86_400) {
            let polls = polls_of_stuck_plan(waves, attempts, timeout, WavePhase::Conversion, ExecutionType::Drill);
            prop_assert!(polls <= POLL_BUDGET + waves * attempts, "{polls} polls");
        }

        #[test]
        fn the_interval_is_never_zero_and_never_passes_the_timeout(
            elapsed in 0u32..100_000, timeout in 5u32..=86_400, used in 0u32..5_000, wave_polls in 0u32..3_000,
            wave in 1u32..=100,
        ) {
            let pace = Pace {
                phase: WavePhase::Conversion, execution_type: ExecutionType::Drill, elapsed_seconds: elapsed,
                timeout_seconds: timeout, polls_used: used.max(wave_polls), wave_polls, attempt: 1, wave_number: wave,
                wave_count: 100,
            };
            let seconds = next_poll_seconds(&pace);
            prop_assert!(seconds >= 1);
            prop_assert!(seconds <= timeout.saturating_sub(elapsed).max(1));
        }

        #[test]
        fn a_stuck_cleanup_stays_inside_its_budget(start in 0u32..10) {
            let (mut elapsed, mut polls) = (start, 0);
            while elapsed < CLEANUP_TIMEOUT_SECONDS {
                elapsed += next_cleanup_poll_seconds(polls, elapsed);
                polls += 1;
            }
            prop_assert!(polls <= CLEANUP_POLL_BUDGET + 1);
        }
    }

    #[test]
    fn an_ordinary_plan_polls_at_the_pace_of_its_phase() {
        let pace = |phase| Pace {
            phase,
            execution_type: ExecutionType::Drill,
            elapsed_seconds: 60,
            timeout_seconds: 7_200,
            polls_used: 4,
            wave_polls: 4,
            attempt: 1,
            wave_number: 1,
            wave_count: 3,
        };
        assert_eq!(next_poll_seconds(&pace(WavePhase::Conversion)), 15);
        assert_eq!(next_poll_seconds(&pace(WavePhase::Launching)), 10);
        assert_eq!(next_poll_seconds(&pace(WavePhase::Enriching)), 5);
    }

    /// An operator who retries a wave that timed out sees it move again.
    #[test]
    fn a_retried_wave_is_polled_at_the_usual_pace() {
        let pace = |attempt| Pace {
            phase: WavePhase::Conversion,
            execution_type: ExecutionType::Drill,
            elapsed_seconds: 0,
            timeout_seconds: 7_200,
            polls_used: 95,
            wave_polls: 95,
            attempt,
            wave_number: 1,
            wave_count: 20,
        };
        assert_eq!(next_poll_seconds(&pace(1)), 7_200, "the first attempt has spent its share");
        assert!(next_poll_seconds(&pace(2)) <= 30);
    }
}
