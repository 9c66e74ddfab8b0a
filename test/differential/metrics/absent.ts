/** Which metrics of upstream's API server are not here, and why; a name may end with `*`. */
export const absent: readonly { readonly names: readonly string[]; readonly why: string }[] = [
  {
    names: ["go_*", "process_virtual_memory_*", "process_network_*"],
    why: "of Go's runtime, or of the whole machine: what a process takes is in process_resident_memory_bytes",
  },
  {
    names: ["hidden_metrics_total", "registered_metrics_total", "kubernetes_feature_enabled", "version_info"],
    why: "of the framework of metrics, and of gates; kubernetes_build_info tells the version",
  },
  {
    names: ["grpc_client_*", "etcd_bookmark_counts", "apiserver_storage_size_bytes"],
    why: "of etcd's client: the store may be another; etcd tells its size and calls itself, under its own names",
  },
  {
    names: ["rest_client_*", "apiserver_selfrequest_total", "workqueue_retries_total"],
    why: "parts of this process ask by function calls, not over HTTP; told once there are some, of webhooks and work queues",
  },
  {
    names: [
      "apiserver_cache_list_*",
      "apiserver_storage_list_*",
      "apiserver_storage_events_received_total",
      "apiserver_init_events_total",
      "apiserver_watch_cache_*",
      "apiserver_watch_list_duration_seconds",
      "watch_cache_capacity",
    ],
    why: "of a cache for each resource with a buffer of its own: here one watch of the store fills all, and lists come from memory",
  },
  {
    names: ["apiserver_resource_size_estimate_bytes"],
    why: "would be counted over all objects at each look; apiserver_resource_objects tells how many there are",
  },
  {
    names: [
      "apiserver_flowcontrol_current_limit_seats",
      "apiserver_flowcontrol_current_r",
      "apiserver_flowcontrol_demand_seats*",
      "apiserver_flowcontrol_priority_level_*",
      "apiserver_flowcontrol_read_vs_write_current_requests",
      "apiserver_flowcontrol_seat_fair_frac",
      "apiserver_flowcontrol_target_seats",
      "apiserver_flowcontrol_watch_count_samples",
      "apiserver_flowcontrol_work_estimated_seats",
      "apiserver_current_inqueue_requests",
    ],
    why: "of upstream's way to share seats out every 10 s, and samples of a finer grain: here they are lent request by request",
  },
  {
    names: ["apiserver_request_filter_duration_seconds", "apiserver_request_timestamp_comparison_time"],
    why: "of a chain of filters that is not here; authentication, authorisation, waiting and admission have their own",
  },
  {
    names: [
      "apiserver_envelope_encryption_dek_cache_fill_percent",
      "apiserver_storage_data_key_generation_*",
      "apiserver_storage_envelope_transformation_cache_misses_total",
    ],
    why: "of keys that a KMS plug-in wraps, which there are none of; values are encrypted in the store's own thread",
  },
  {
    names: ["authentication_token_cache_*"],
    why: "tokens of service accounts are judged each time, only their signatures are remembered",
  },
  {
    names: ["serviceaccount_legacy_*", "serviceaccount_invalid_legacy_auto_token_uses_total"],
    why: "when a token in a Secret was last used stands in the Secret's label",
  },
  {
    names: [
      "kube_apiserver_clusterip_allocator_*",
      "kube_apiserver_nodeport_allocator_*",
      "apiserver_nodeport_repair_reconcile_errors_total",
    ],
    why: "addresses and ports are given out of what Services hold, without a bitmap that can drift; ServiceCIDRs and IPAddresses show it",
  },
  { names: ["pod_security_exemptions_total"], why: "nobody is exempt" },
  {
    names: [
      "apiserver_kube_aggregator_x509_*",
      "apiserver_webhooks_x509_*",
      "aggregator_discovery_aggregation_count_total",
      "apiextensions_*",
      "apiserver_validation_*",
      "field_validation_request_duration_seconds",
    ],
    why: "of changes that upstream goes through itself, for its developers",
  },
];

/** Which are here with other labels, and why. */
export const differing: Readonly<Record<string, string>> = {
  kubernetes_build_info: "Go and git are no part of it",
  apiserver_flowcontrol_current_executing_requests: "by level alone: seats are the level's",
  apiserver_flowcontrol_current_executing_seats: "by level alone: seats are the level's",
};
