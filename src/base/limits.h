/*
 * Every bound of Shoal stands here, with its unit. What listens, grows or waits names its bound
 * from this page, and a test goes to it. Everything may include this; it includes nothing.
 */
#pragma once

/* Identities */
#define ID_CLUSTER_LEN 25 /* base36 characters of an object's id (Swarm's form) */
#define ID_HOST_LEN 64    /* hex characters of a container, image or network id */
#define NAME_MAX_LEN 63   /* a service's, node's or network's name: a DNS label */

/* JSON and HTTP */
#define LIMIT_JSON_BODY (4u << 20)     /* bytes of a JSON request */
#define LIMIT_HTTP_HEADERS (32u << 10) /* bytes of a request's line and headers */
#define LIMIT_HTTP_CLIENTS 1024        /* connections a daemon serves at once */
#define LIMIT_HTTP_ANSWER (64u << 20)  /* bytes of an answer rendered in one piece */
#define LIMIT_HTTP_PIECE (256u << 10)  /* bytes of one piece of an answer */
#define LIMIT_HTTP_STREAM (1u << 20)   /* bytes that wait on a stream for its client */
#define LIMIT_LIST_SPECS 1024          /* of tasks, kept as text while tasks are listed */
#define LIMIT_FILTER_VALUES 1024       /* values in the filters of one request */
#define LIMIT_FILTER_PATTERN 128      /* characters of a name filter that is a regular expression */
#define LIMIT_HTTP_ARGS 256           /* values in one query */
#define LIMIT_HTTP_IDLE_MS 300000     /* milliseconds a connection may do nothing */
#define LIMIT_HTTP_HEADER_MS 15000    /* milliseconds from the request line to the last header */
#define LIMIT_HTTP_LINGER_MS 5000     /* milliseconds a closed connection may still send */
#define LIMIT_HTTP_BODIES (64u << 20) /* bytes of all bodies that one server collects at once */
#define LIMIT_HTTP_SWALLOW (256u << 10) /* bytes of an unwanted body read before closing */
#define LIMIT_HTTP_SOCKETS 32           /* sockets that one server listens on */
#define LIMIT_LOG_LINE 4096             /* bytes of a line of the daemon's own log */
#define LIMIT_TAKEOVER_MS 3000          /* milliseconds to wait for what a dead daemon left */
#define LIMIT_FILE_SMALL (1u << 20)     /* bytes of a configuration or state file */

/* Cluster streams */
#define LIMIT_FRAME (2u << 20)            /* bytes of a frame on a cluster stream */
#define LIMIT_STREAM_QUEUE (16u << 20)    /* bytes that may wait on one stream to be sent */
#define LIMIT_HANDSHAKES 64               /* TLS handshakes in flight */
#define LIMIT_HANDSHAKE_MS 5000           /* milliseconds a handshake may take */
#define LIMIT_STREAMS 16384               /* accepted cluster streams */
#define LIMIT_HANDSHAKE_BYTES (64u << 10) /* bytes a peer may send before it is let in */
#define LIMIT_HANDSHAKE_SLOW_MS 2000      /* silence that ends a handshake when others wait */
#define LIMIT_JOINS 64                    /* streams without a client certificate */
#define LIMIT_JOIN_MS 30000               /* milliseconds such a stream may live */
#define LIMIT_JOIN_FRAME (64u << 10)      /* bytes of a frame on it */
#define LIMIT_STREAM_HIGH (1u << 20)      /* queued bytes from which a stream is not writable */
#define LIMIT_LINGER_MS 1000       /* milliseconds that a closing stream may take to say so */
#define LIMIT_STREAM_DEAD_MS 15000 /* milliseconds without an answer until a peer is gone */
#define LIMIT_RAFT_DEAD_MS 3000    /* the same between managers */
#define LIMIT_STREAM_REASON 480    /* bytes of the sentence that tells why a stream ends */
#define LIMIT_STREAM_BACKLOG 1024  /* connections that wait in the kernel for a handshake */

/* Keys and certificates */
/*
 * Bytes of locked memory for OpenSSL's keys, a power of two; resident only as far as it is used. It
 * keeps the key of a stream's handshake, up to 64 bytes, as long as the stream.
 */
#define LIMIT_KEY_MEMORY (2u << 20)
#define LIMIT_SECRET_MEMORY (1u << 30) /* bytes of locked memory for secrets */
#define LIMIT_PEM (64u << 10)          /* bytes of a PEM file of certificates or a key */
#define LIMIT_CERTS 16                 /* certificates of a chain or of a set of roots */

/* Raft and the store */
#define LIMIT_ENTRY (1536u << 10)  /* bytes of a raft entry */
#define LIMIT_SNAPSHOT (1u << 30)  /* bytes of a snapshot of the store */
#define LIMIT_RAFT_SEND (8u << 20) /* bytes of entries in one go to one follower */
#define LIMIT_MANAGERS 32          /* members of the raft group */
#define LIMIT_BATCH 10000          /* changes of a raft entry */
#define LIMIT_PROPOSALS 10000      /* writes that wait for a place in an entry */

/* Containers and shims */
#define LIMIT_SPEC_JSON (1u << 20)   /* bytes of a config.json or shim.json */
#define LIMIT_SPEC_LIST 4096         /* entries of a list in them */
#define LIMIT_SHIM_FRAME (64u << 10) /* bytes of a frame's body on shim.sock */
#define LIMIT_SHIM_READ (32u << 10)  /* bytes read from a shim's connection or stdio at once */
#define LIMIT_SHIM_CLIENTS 64        /* connections to one shim */
#define LIMIT_SHIM_QUEUE (1u << 20)  /* bytes that may wait for one attached client */
#define LIMIT_SHIM_STALL_MS 30000    /* a client that takes nothing for so long is dropped */
#define LIMIT_SHIM_STDIN (64u << 10) /* bytes of stdin that the container has not read */
#define LIMIT_LOG_PIECE (16u << 10)  /* bytes of a log line before it is split, as docker does */
#define LIMIT_PASSWD (1u << 20)      /* bytes of an image's passwd or group file */
#define LIMIT_GROUPS 1024            /* additional groups of a process */
#define LIMIT_ID_MAPS 340            /* ranges of a user namespace: what the kernel takes */
#define LIMIT_HOOK_MS 600000         /* milliseconds a hook without a timeout of its own may take */
#define LIMIT_NOTIFY 4096            /* bytes of a container's message on its NOTIFY_SOCKET */
#define LIMIT_NOTIFY_MS 600000       /* milliseconds that `start` waits for its READY=1 */
#define LIMIT_NOTIFY_HOST_MS 5000    /* milliseconds that the host's NOTIFY_SOCKET may take */
#define LIMIT_BUS_MS 30000           /* milliseconds of one conversation with systemd */
#define LIMIT_BUS_MESSAGE (256u << 10) /* bytes of one message of D-Bus */
#define LIMIT_PRESERVE_FDS 1024        /* descriptors handed on to a container */
#define LIMIT_OCI_STATE (64u << 10)    /* bytes of a container's state.json */
#define LIMIT_OCI_ID 255               /* characters of a container's id */

/* Networks of a host */
#define LIMIT_NETLINK_MESSAGE 1024      /* bytes of one netlink request that we build */
#define LIMIT_NETLINK_BATCH (64u << 10) /* bytes of requests sent to the kernel at once */
#define LIMIT_NET_PEERS (1u << 18)      /* peers of one overlay: what its VXLAN table may hold */
#define LIMIT_PEERS_TABLE (64u << 20)   /* bytes of one overlay's whole table */
#define LIMIT_NFT_SCRIPT (4u << 20)     /* bytes of one nftables transaction */
#define LIMIT_DNS_RECORDS 2048          /* addresses of one name that a lookup may give */
#define LIMIT_DNS_UPSTREAMS 8           /* upstream servers of a container */
#define LIMIT_DNS_INFLIGHT 1024         /* forwarded questions in flight, all containers */
#define LIMIT_DNS_SANDBOX_INFLIGHT 256  /* forwarded questions in flight of one container */
#define LIMIT_DNS_CLIENTS 32            /* TCP connections to one container's server */
#define LIMIT_DNS_IDLE_MS 10000         /* milliseconds a silent TCP connection is kept */
#define LIMIT_RESOLV_CONF (64u << 10)   /* bytes of a resolv.conf, hosts or hostname file */
#define LIMIT_NETWORK_NAME 128          /* characters of the name of a network of one host */
#define LIMIT_NETWORKS 4096             /* networks of one host */
#define LIMIT_HOST_SUBNETS 16384        /* routes of a host that subnets are kept away from */

/* Images */
#define LIMIT_IMAGE_REF 1024          /* characters of a reference as a user writes it */
#define LIMIT_IMAGE_NAME 255          /* characters of a repository's name with its registry */
#define LIMIT_IMAGE_TAG 128           /* characters of a tag */
#define LIMIT_IMAGE_CONFIG (4u << 20) /* bytes of an image's configuration, manifest or index */
#define LIMIT_IMAGE_LAYERS 125      /* layers of an image: what one overlay mount is sure to take */
#define LIMIT_ARCHIVE_MEMBERS 65536 /* members of an image archive */
#define LIMIT_ARCHIVE_IMAGES 1024   /* images of an archive, and manifests of an index */
#define LIMIT_ARCHIVE_CONFIGS (64u << 20) /* bytes of all configurations of an archive */
#define LIMIT_LAYER_ENTRIES 4000000       /* members of a layer's tar */
#define LIMIT_LAYER_DEPTH 128             /* folders on the way to a file of a layer */
#define LIMIT_LAYER_BYTES (1LL << 40)     /* bytes of a layer's files, and of its tar */
#define LIMIT_LAYER_HEADERS (32u << 20)   /* bytes of the names of a layer's folders */

/* The engine */
#define LIMIT_EXECS 1024          /* processes executed in one container that are remembered */
#define LIMIT_EXEC_KEPT_MS 300000 /* milliseconds for which one that ended is (docker's figure) */
#define LIMIT_HEALTH_LOG 5        /* results of a health check that are shown (docker's figure) */
#define LIMIT_HEALTH_OUTPUT 4096  /* bytes of a probe's output that are kept (docker's figure) */
#define LIMIT_EVENTS 256          /* events that are kept for late readers (docker's figure) */
#define LIMIT_LOG_FILES 1000      /* rotated log files of a container */
#define LIMIT_WALKS 16            /* requests that wait for walks through containers' files */
#define LIMIT_CHANGES (1 << 20)   /* files that are looked at to tell what a container changed */
#define LIMIT_CHANGES_DEPTH 256   /* folders on the way to one of them */
#define LIMIT_CHANGES_TEXT (128u << 20) /* bytes of the paths of those that it changed */
#define LIMIT_STATS_CLIENTS 64          /* who may follow the figures of one container at once */
#define LIMIT_STATS_NETS 32             /* interfaces of a container in them */
#define LIMIT_STATS_QUEUE 65536    /* bytes that wait for one of them; then samples are skipped */
#define LIMIT_PS_OUTPUT (4u << 20) /* bytes that the host's ps may say for one `top` */
#define LIMIT_PS_MS 10000          /* milliseconds it may take */
#define LIMIT_PS_ARGS 1024         /* characters of its arguments */

/* Services */
#define LIMIT_DATA_GUESTS 64          /* streams of one node that have not shown a ticket */
#define LIMIT_DATA_ASKS 4096          /* streams that another manager asks for at once */
#define LIMIT_TASK_EXECS 1024         /* processes in tasks that one manager has executed or may */
#define LIMIT_EXEC_CONFIG (1u << 20)  /* bytes of one's command and environment, as JSON */
#define LIMIT_EXEC_INPUT (256u << 10) /* bytes of its input under way that were not taken */
#define LIMIT_EXEC_OPEN_MS 10000      /* milliseconds for its node to begin with it */
#define LIMIT_LOG_WAIT_MS 5000        /* milliseconds for a node to come with its tasks' logs */
#define LIMIT_LOG_QUEUE (256u << 10)  /* bytes of one node's entries that wait for the others' */
#define LIMIT_LOG_TASKS 4096          /* tasks of a service whose logs are read at once */
#define LIMIT_TASK_HISTORY 1000       /* ended tasks of a slot, also where a swarm keeps all */
#define LIMIT_CRON_HISTORY 1000       /* iterations of a scheduled job that are kept */
#define LIMIT_CRON_TEXT 256           /* characters of a schedule */
#define LIMIT_DEPENDS 64u             /* services that one service waits for */
#define LIMIT_DEPENDS_WALK 1000u      /* services looked at for one that waits for itself */
#define LIMIT_ZONE_NAME 64            /* characters of a time zone's name, with the NUL */
#define LIMIT_ZONE_BYTES (256u << 10) /* of a file of the time zones' database */
#define LIMIT_MOVE_FAILURES 3         /* replacements that fail before a move is given up */
#define LIMIT_MOVE_WAIT_MS 300000     /* for a replacement to run, unless the service says */
#define LIMIT_DRAIN_WAIT_MS 30000     /* for a replacement to find a node, while one is drained */
#define LIMIT_PLANS 4u                /* that are worked out at once on one manager */
#define LIMIT_PLAN_ROUNDS 200000      /* of the cores, before a plan is given up */
#define LIMIT_PLAN_TASKS 20000u       /* that a plan lists; more are only counted */
#define LIMIT_REPLICAS 100000u        /* of one service */

/* Watching the store */
#define LIMIT_WATCH_CHANGES 16384     /* changes that are remembered; more than LIMIT_BATCH */
#define LIMIT_WATCH_BYTES (16u << 20) /* bytes of their objects */

/* What a node offers to tasks and what they ask of it */
#define LIMIT_GENERICS 256u               /* generic resources of a node, or of a service */
#define LIMIT_GENERIC_NAME 128u           /* characters of a kind, or of a name of one */
#define LIMIT_GENERIC_NUMBER 1000000000LL /* so many of a kind */
#define LIMIT_TASK_DEVICES 64u            /* devices of one task, or of one node's permission */
#define LIMIT_PRIVILEGED_DEVICES 4096u    /* devices of the host that a privileged container has */
#define LIMIT_SERVICE_PORTS 1024u         /* ports of one service, or of one container */
/* Autoscaling */
#define LIMIT_AUTOSCALE_WINDOW_S 3600LL /* seconds that a decision may be made to wait */
#define LIMIT_AUTOSCALE_MS 5000         /* milliseconds between two measurements, and two looks */
#define LIMIT_AUTOSCALE_STALE 3         /* of these, after which a value says nothing any more */
#define LIMIT_AUTOSCALE_LOADS 10000     /* tasks of one report to the leader */
#define LIMIT_AUTOSCALE_ERROR 160       /* characters of why a task has no metric */
#define LIMIT_METRIC_TEXT 256           /* characters of a metric's name with labels; of its path */
#define LIMIT_METRIC_LABELS 64          /* labels of one sample */
#define LIMIT_METRIC_VALUE 1000000000000000LL /* the largest value of any kind, in its own unit */
#define LIMIT_METRIC_HEAD (8u << 10)          /* bytes of the headers of an answer with metrics */
#define LIMIT_METRIC_BYTES (4 << 20)          /* bytes of its body, */
#define LIMIT_METRIC_LINES 50000              /* lines in it, */
#define LIMIT_METRIC_LINE (16 << 10)          /* and bytes of one */
#define LIMIT_SCRAPES 16                      /* metrics that a node reads at the same time, */
#define LIMIT_SCRAPE_MS 2000                  /* and milliseconds that one may take */

/* Secrets and configs */
#define LIMIT_SECRET_NAME 64            /* characters of a name */
#define LIMIT_SECRET_DATA (500u << 10)  /* bytes of a secret */
#define LIMIT_CONFIG_DATA (1000u << 10) /* bytes of a config */
#define LIMIT_TASK_FILES 256            /* secrets and configs of one service */
#define LIMIT_TASK_PAYLOAD (8u << 20)   /* bytes of all of them, as stored: half a stream's queue */
#define LIMIT_FILE_EXPANDED (1000u << 10) /* bytes of one whose template is expanded */
#define LIMIT_FILE_TARGET 1024            /* characters of the path of one in the container */

/* Lines that `shoal` prints while it waits for one service and its output is no terminal */
#define LIMIT_PROGRESS_LINES 1000u

/* Compose files, read by the command line */
#define LIMIT_COMPOSE_FILE                                                                       \
	(4u << 20)                   /* bytes of a file, of an environment file, of a text in it \
				      */
#define LIMIT_COMPOSE_FILES 64u      /* files given, extended or named by env_file */
#define LIMIT_COMPOSE_DEPTH 64u      /* lists and maps within one another */
#define LIMIT_COMPOSE_NODES 100000u  /* values of all files, those of aliases counted each time */
#define LIMIT_COMPOSE_LIST 2048u     /* entries of a list or map */
#define LIMIT_COMPOSE_NESTED 16u     /* variables within one another's defaults */
#define LIMIT_COMPOSE_EXTENDS 16u    /* services that extend one another */
#define LIMIT_COMPOSE_SERVICES 1000u /* services of a stack */
#define LIMIT_COMPOSE_PROBLEMS 100u  /* complaints about one stack */
#define LIMIT_COMPOSE_PORTS 1000u    /* ports of one entry's range */
