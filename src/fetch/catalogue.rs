//! The upstream files of every dataset that can be fetched: where they are, what they are called here, what is
//! known about their content. Addresses: docs/protocol.md, section 1.

/// A dataset as upstream offers it.
#[derive(Debug, Clone, Copy)]
pub struct Upstream {
    /// The name in experiment files, such as `ml-100k`.
    pub name: &'static str,
    /// The folder under the data folder.
    pub folder: &'static str,
    /// Where a person reads about the dataset.
    pub homepage: &'static str,
    /// The files to download.
    pub files: &'static [RemoteFile],
}

/// One file to download.
#[derive(Debug, Clone, Copy)]
pub struct RemoteFile {
    /// The https address.
    pub url: &'static str,
    /// The file's name, in the dataset's folder and on a mirror.
    pub name: &'static str,
    /// The SHA-256 of the file, in hex, where it is known beforehand.
    pub sha256: Option<&'static str>,
    /// More bytes than this are refused. Generous: several times what upstream has.
    pub max_bytes: u64,
    /// What kind of file it is.
    pub kind: Kind,
}

/// What a downloaded file must look like.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any bytes, known by their hash.
    Bytes,
    /// A JSON object: begins as one.
    Json,
    /// Text (CSV): not empty, not a web page.
    Text,
    /// One gzip stream that is whole and unpacks to at most this many bytes.
    Gzip {
        /// The limit in bytes.
        max_unpacked_bytes: u64,
    },
    /// A zip archive of which these members are unpacked into the dataset's folder; the archive is not kept.
    Zip {
        /// The members; any other member stays in the archive.
        members: &'static [Member],
    },
}

/// One member of an archive.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// The exact name in the archive.
    pub member: &'static str,
    /// The file's name in the dataset's folder.
    pub name: &'static str,
    /// The SHA-256 of the content, in hex, where it is known beforehand.
    pub sha256: Option<&'static str>,
    /// More bytes than this are refused.
    pub max_bytes: u64,
    /// Whether the dataset is incomplete without it.
    pub required: bool,
}

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Everything that can be fetched.
pub const UPSTREAMS: &[Upstream] = &[
    Upstream {
        name: "ml-100k",
        folder: "ml-latest-small",
        homepage: "https://grouplens.org/datasets/movielens/latest/",
        files: &[RemoteFile {
            url: "https://files.grouplens.org/datasets/movielens/ml-latest-small.zip",
            name: "ml-latest-small.zip",
            // The archive may be packed anew upstream; what counts, its members, is pinned.
            sha256: None,
            max_bytes: 16 * MIB,
            kind: Kind::Zip {
                members: &[
                    Member {
                        member: "ml-latest-small/ratings.csv",
                        name: "ratings.csv",
                        sha256: Some("aa289ca83157595d0df6aea1be6a4ded676ddc4385472e8313a8ed9805352646"),
                        max_bytes: 16 * MIB,
                        required: true,
                    },
                    Member {
                        member: "ml-latest-small/movies.csv",
                        name: "movies.csv",
                        sha256: Some("5a5f32dd9bb3797b8e728a1b98958789d2b13f294a69fdfbc5727f8a9611aa07"),
                        max_bytes: 4 * MIB,
                        required: true,
                    },
                    Member {
                        member: "ml-latest-small/README.txt",
                        name: "README.txt",
                        sha256: None,
                        max_bytes: MIB,
                        required: false,
                    },
                ],
            },
        }],
    },
    Upstream {
        name: "beauty",
        folder: "beauty",
        homepage: "https://snap.stanford.edu/data/amazon/productGraph/",
        files: &[
            RemoteFile {
                url: "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles/ratings_Beauty.csv",
                name: "ratings_Beauty.csv",
                sha256: None,
                max_bytes: 512 * MIB,
                kind: Kind::Text,
            },
            RemoteFile {
                url: "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles/meta_Beauty.json.gz",
                name: "meta_Beauty.json.gz",
                sha256: None,
                max_bytes: GIB,
                kind: Kind::Gzip { max_unpacked_bytes: 8 * GIB },
            },
        ],
    },
    Upstream {
        name: "games",
        folder: "games",
        homepage: "https://nijianmo.github.io/amazon/",
        files: &[
            RemoteFile {
                url: "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles/ratings_Video_Games.csv",
                name: "ratings_Video_Games.csv",
                sha256: None,
                max_bytes: 512 * MIB,
                kind: Kind::Text,
            },
            // The 2018 meta file: the 2014 one lacks titles.
            RemoteFile {
                url: "https://datarepo.eng.ucsd.edu/mcauley_group/data/amazon_v2/metaFiles2/meta_Video_Games.json.gz",
                name: "meta_Video_Games.json.gz",
                sha256: None,
                max_bytes: GIB,
                kind: Kind::Gzip { max_unpacked_bytes: 8 * GIB },
            },
        ],
    },
];

impl RemoteFile {
    /// What a person without this program does instead.
    pub(super) fn by_hand(&self, folder: &std::path::Path) -> String {
        format!("download {} by hand and save it as {}", self.url, folder.join(self.name).display())
    }
}
