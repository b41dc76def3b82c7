//! What a node keeps on disk: the log, the data directory, the snapshots, and all of it damaged.

mod data_dir;
mod hostile;
mod log_files;
mod log_flushes;
mod log_list;
mod snapshots;
mod support;
