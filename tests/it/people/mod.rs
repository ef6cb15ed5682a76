//! The people of the desk: their accounts, devices and pictures, what they may do, and what they did.

mod devices;
