//! Keys, the record envelope, keyed hashes, root-key providers
