//! The values that were used last, and no more of them than a number.

use std::collections::VecDeque;

/// A small cache: a search through all of it is nothing beside the call that a miss costs.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    capacity: usize,
    /// Used last comes last.
    entries: VecDeque<(K, V)>,
}

impl<K: PartialEq, V: Clone> Recent<K, V> {
    pub(crate) const fn new(capacity: usize) -> Self {
        Self { capacity, entries: VecDeque::new() }
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<V> {
        let at = self.entries.iter().position(|(known, _)| known == key)?;
        let entry = self.entries.remove(at)?;
        let value = entry.1.clone();
        self.entries.push_back(entry);
        Some(value)
    }

    /// Takes the place of the one that was used longest ago.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.entries.retain(|(known, _)| *known != key);
        if self.entries.len() >= self.capacity {
            self.entries.pop_front();
        }
        self.entries.push_back((key, value));
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let mut recent = Recent::new(2);
        recent.insert("a", 1);
        recent.insert("b", 2);
        assert_eq!(recent.get(&"a"), Some(1));
        recent.insert("c", 3);
        assert_eq!((recent.get(&"a"), recent.get(&"b"), recent.get(&"c")), (Some(1), None, Some(3)));
        recent.insert("c", 4);
        assert_eq!((recent.len(), recent.get(&"a"), recent.get(&"c")), (2, Some(1), Some(4)));
        for number in 0..1_000 {
            recent.insert("other", number);
            recent.insert("another", number);
        }
        assert_eq!(recent.len(), 2);
    }
}
