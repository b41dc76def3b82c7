//! What the system says of the process, by the names that all of Prometheus' clients use.

use std::fmt;

use procfs::process::{LimitValue, Process};
use procfs::{ProcResult, boot_time_secs, page_size, ticks_per_second};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use crate::telemetry::gauge;

/// Reads `/proc` each time. What cannot be read is left out.
#[derive(Debug)]
pub(super) struct ProcessView;

impl Collector for ProcessView {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        match Usage::now() {
            Ok(usage) => usage.encode(&mut encoder),
            Err(error) => {
                tracing::debug!(%error, "the system does not tell what the process uses");
                Ok(())
            }
        }
    }
}

struct Usage {
    cpu_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    open_files: usize,
    open_files_max: u64,
    threads: i64,
    start_seconds: f64,
}

impl Usage {
    fn now() -> ProcResult<Usage> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let seconds = |ticks: u64| ticks as f64 / ticks_per_second() as f64;
        Ok(Usage {
            cpu_seconds: seconds(stat.utime + stat.stime),
            resident_bytes: stat.rss * page_size(),
            virtual_bytes: stat.vsize,
            open_files: process.fd_count()?,
            open_files_max: match process.limits()?.max_open_files.soft_limit {
                LimitValue::Value(files) => files,
                LimitValue::Unlimited => u64::MAX,
            },
            threads: stat.num_threads,
            start_seconds: boot_time_secs()? as f64 + seconds(stat.starttime),
        })
    }

    fn encode(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let name = "process_cpu_seconds";
        let help = "Processor time used, by user and system.";
        let cpu = to.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(self.cpu_seconds).encode(cpu)?;
        gauge(
            to,
            "process_resident_memory_bytes",
            "Memory held.",
            self.resident_bytes,
        )?;
        gauge(
            to,
            "process_virtual_memory_bytes",
            "Address space taken.",
            self.virtual_bytes,
        )?;
        gauge(
            to,
            "process_open_fds",
            "Open files and sockets.",
            self.open_files,
        )?;
        gauge(
            to,
            "process_max_fds",
            "Most files and sockets that may be open.",
            self.open_files_max,
        )?;
        gauge(to, "process_threads", "Threads.", self.threads)?;
        gauge(
            to,
            "process_start_time_seconds",
            "When the process started, since 1970 began.",
            self.start_seconds,
        )
    }
}
