//! What is delivered: the Debian package, the container image, and what the service manager hears.

mod image;
mod notify;
mod package;
