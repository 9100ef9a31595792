//! Luck as a function: the same seed, place and visit give the same numbers, whatever was drawn elsewhere.

/// A stream of numbers (SplitMix64: small state, so that every visit of every place can have its own).
#[derive(Debug, Clone)]
pub struct Luck(u64);

impl Luck {
    /// The luck of one visit to one place.
    pub fn new(seed: u64, place: u64, visit: u32) -> Self {
        let mut luck = Self(seed ^ place.rotate_left(17) ^ (u64::from(visit) << 40));
        luck.next();
        luck
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number under `limit`, which is not 0.
    pub fn below(&mut self, limit: u32) -> u32 {
        u32::try_from(self.next() % u64::from(limit.max(1))).unwrap_or(0)
    }

    /// A number from `first` to `last`, both included.
    pub fn range(&mut self, first: u32, last: u32) -> i64 {
        i64::from(first + self.below(last.saturating_sub(first) + 1))
    }

    /// True so many times in a thousand.
    pub fn hits(&mut self, per_thousand: u32) -> bool {
        self.below(1_000) < per_thousand
    }

    /// One of several; the first of none is the default.
    pub fn pick<T: Copy + Default>(&mut self, choices: &[T]) -> T {
        let index = self.below(u32::try_from(choices.len()).unwrap_or(u32::MAX));
        choices.get(index as usize).copied().unwrap_or_default()
    }
}
