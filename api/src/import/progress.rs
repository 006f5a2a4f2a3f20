/// Receives the progress of an import.
pub trait Progress: Send + Sync {
    /// A part of the import begins, which has this many steps.
    fn begin(&self, what: &str, steps: u64);
    /// One step is done.
    fn advance(&self);
}

/// Ignores the progress.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64) {}

    fn advance(&self) {}
}

/// Shows the progress as a bar on the terminal, which starts anew for each type of resource.
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
