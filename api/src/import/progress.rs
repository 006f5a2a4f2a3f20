/// Who is told how far an import is.
pub trait Progress: Send + Sync {
    /// So many steps of something lie ahead.
    fn begin(&self, what: &str, steps: u64);
    /// One step was taken.
    fn advance(&self);
}

/// Nobody.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64) {}

    fn advance(&self) {}
}

/// A bar on a terminal; begun anew for each kind of resource.
impl Progress for indicatif::ProgressBar {
    fn begin(&self, what: &str, steps: u64) {
        self.reset();
        self.set_length(steps);
        self.set_message(what.to_owned());
    }

    fn advance(&self) {
        self.inc(1);
    }
}
