//! The few things for which the system has to be asked directly.

use std::ffi::c_int;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

/// Name of the one interface of each network namespace.
pub const INTERFACE: &str = "tun0";

/// Sends `signal` to the process `pid`, which is a child that has not been waited for.
pub fn send_signal(pid: u32, signal: c_int) -> io::Result<()> {
    // SAFETY: kill touches no memory of this process.
    check(unsafe { libc::kill(pid as libc::pid_t, signal) }).map(drop)
}

/// Moves the calling thread, and no other, into the network namespace at `path`.
pub fn enter_network_namespace(path: &Path) -> io::Result<()> {
    let namespace = File::open(path)?;
    // SAFETY: the descriptor is open for the length of the call.
    check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) }).map(drop)
}

/// Creates the interface [`INTERFACE`] in the calling thread's network namespace. What the system
/// sends through it is read from the file, one IP packet at a time, and the other way round.
pub fn create_interface() -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")?;
    // SAFETY: an all-zero ifreq is a valid one.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(INTERFACE.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes one ifreq, which lives for the length of the call.
    check(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &mut request) })?;
    Ok(file)
}

fn check(result: c_int) -> io::Result<c_int> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}
