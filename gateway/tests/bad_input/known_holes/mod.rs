//! Holes that others had, one test for each advisory that a gateway like this one could have had, too:
//! its number, what went wrong there, and that it does not here. What is about tokens is in [`tokens`],
//! what comes before and around them in [`wire`], what we are made of in [`parts`].

mod parts;
mod tokens;
mod wire;
