//! What the operations are about. A subject is given up after some use, so that no stream grows too long to be read.

use uuid::Uuid;

/// How many subjects of a kind there are at a time, and how often each is used.
pub(super) const AT_ONCE: usize = 4;
const USES: u32 = 100;
/// How many prescriptions are kept for readers.
const PRESCRIPTIONS: usize = 16;

#[derive(Debug, Clone, Copy)]
pub(super) struct Patient {
    pub(super) id: Uuid,
    /// The position of the registration, from which on there is a row.
    pub(super) since: i64,
}

/// A product with its one lot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shelf {
    pub(super) medication: Uuid,
    pub(super) lot: Uuid,
}

/// An article, and what two rooms have of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Article {
    pub(super) item: Uuid,
    pub(super) levels: [Uuid; 2],
}

/// Subjects of one kind.
#[derive(Debug)]
pub(super) struct Kind<T> {
    subjects: Vec<(T, u32)>,
}

impl<T> Default for Kind<T> {
    fn default() -> Self {
        Self { subjects: Vec::new() }
    }
}

impl<T: Copy> Kind<T> {
    pub(super) fn add(&mut self, subject: T) {
        self.subjects.push((subject, 0));
    }

    /// The subject that a draw chooses, and whether whoever uses it is to replace it, since it is used up.
    pub(super) fn choose(&mut self, draw: u64) -> (T, bool) {
        let nth = usize::try_from(draw).unwrap_or(0) % self.subjects.len();
        let (subject, uses) = &mut self.subjects[nth];
        *uses += 1;
        let (subject, is_used_up) = (*subject, *uses >= USES && self.subjects.len() >= AT_ONCE);
        if is_used_up {
            self.subjects.swap_remove(nth);
        }
        (subject, is_used_up)
    }
}

#[derive(Debug, Default)]
pub(super) struct Subjects {
    pub(super) patients: Kind<Patient>,
    pub(super) shelves: Kind<Shelf>,
    pub(super) articles: Kind<Article>,
    prescriptions: Vec<Uuid>,
}

impl Subjects {
    pub(super) fn add_prescription(&mut self, id: Uuid) {
        if self.prescriptions.len() == PRESCRIPTIONS {
            self.prescriptions.remove(0);
        }
        self.prescriptions.push(id);
    }

    /// A stream to read.
    pub(super) fn stream(&self, draw: u64) -> Uuid {
        let mut streams: Vec<Uuid> = self.prescriptions.clone();
        for _ in 0..3 {
            streams.extend(self.patients.subjects.iter().map(|(it, _)| it.id));
            streams.extend(self.shelves.subjects.iter().map(|(it, _)| it.lot));
            streams.extend(self.articles.subjects.iter().flat_map(|(it, _)| it.levels));
        }
        streams[usize::try_from(draw).unwrap_or(0) % streams.len()]
    }
}
