/**
 * The embedded server's settings; pure. Sized for a platform whose whole idle memory stays under 300 MB: few
 * helper processes, small buffers, no parallel query, no compilation of queries.
 */
export interface PostgresSettings {
  readonly port: number;
  readonly logDir: string;
  /** The operator's own settings; included last. */
  readonly localConf?: string;
}

/** The text of postgresql.conf. */
export function toPostgresConf(settings: PostgresSettings): string {
  const lines = Object.entries({
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    port: settings.port,
    max_connections: 60,
    superuser_reserved_connections: 3,
    password_encryption: "scram-sha-256",

    shared_buffers: "32MB",
    work_mem: "4MB",
    maintenance_work_mem: "32MB",
    huge_pages: "off",
    jit: "off",
    io_method: "sync",
    max_worker_processes: 2,
    max_parallel_workers: 0,
    max_parallel_workers_per_gather: 0,
    max_logical_replication_workers: 0,

    fsync: "on",
    synchronous_commit: "on",
    wal_level: "replica",
    max_wal_senders: 2,
    min_wal_size: "32MB",
    max_wal_size: "256MB",
    checkpoint_timeout: "5min",
    restart_after_crash: "on",

    autovacuum: "on",
    autovacuum_max_workers: 2,

    // A client that stopped, or whose machine is gone, must not hold locks that others wait for.
    idle_in_transaction_session_timeout: "60s",
    client_connection_check_interval: "2s",
    authentication_timeout: "10s",
    tcp_keepalives_idle: 10,
    tcp_keepalives_interval: 5,
    tcp_keepalives_count: 3,
    tcp_user_timeout: "20s",

    logging_collector: "on",
    log_directory: settings.logDir,
    log_filename: "postgres-%Y%m%d-%H%M%S.log",
    log_file_mode: "0600",
    log_rotation_size: "4MB",
    log_rotation_age: "1d",
    log_min_messages: "warning",
    log_checkpoints: "off",
    log_line_prefix: "%m [%p] %q%u@%d %a ",
    log_parameter_max_length_on_error: 0,
    log_timezone: "UTC",
    timezone: "UTC",

    lc_messages: "C",
    default_text_search_config: "pg_catalog.english",
  }).map(([name, value]) => `${name} = ${toValue(value)}`);
  return [
    "# Written anew at each start. Your own settings belong in local.conf, beside this file.",
    ...lines,
    ...(settings.localConf === undefined ? [] : [`include = ${toValue(settings.localConf)}`]),
    "",
  ].join("\n");
}

function toValue(value: string | number): string {
  return typeof value === "number" ? String(value) : `'${value.replaceAll("'", "''")}'`;
}
