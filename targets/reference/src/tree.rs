//! The tree of hashes by which two nodes find out where what they hold differs, without telling it (Merkle, *A Digital
//! Signature Based on a Conventional Encryption Function*, 1987; DeCandia et al., *Dynamo*, 2007, §4.7).

/// How many branches the tree has. One level is enough for the few thousand keys of a test; a store with more would put
/// the same tree over its branches.
pub(crate) const BRANCHES: usize = 64;

/// The hash of each branch over keys, each with the hash of what is under it.
pub(crate) fn branches<'a>(leaves: impl Iterator<Item = (&'a str, u64)>) -> Vec<u64> {
    let mut hashes = vec![0_u64; BRANCHES];
    for (key, leaf) in leaves {
        // Order does not matter: two nodes that hold the same have the same sum.
        let branch = &mut hashes[branch(key)];
        *branch = branch.wrapping_add(leaf);
    }
    hashes
}

/// The branches whose hashes differ.
pub(crate) fn differing(own: &[u64], theirs: &[u64]) -> Vec<usize> {
    let pairs = own.iter().zip(theirs).enumerate();
    pairs.filter(|(_, (own, theirs))| own != theirs).map(|(at, _)| at).collect()
}

/// The branch a key is in.
pub(crate) fn branch(key: &str) -> usize {
    hash(key.as_bytes()) as usize % BRANCHES
}

/// FNV-1a with a last mix (Fowler, Noll, Vo; Stafford's variant 13): the same on every machine and in every version.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let folded = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (folded ^ (folded >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
