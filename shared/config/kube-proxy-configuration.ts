import { booleanTo, type ComponentForm, durationTo, given, textsTo, textTo } from "./component-configuration.ts";

/** KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1). */
export const kubeProxyConfiguration: ComponentForm = {
  kind: "KubeProxyConfiguration",
  apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
  fields: {
    clientConnection: (field) => {
      const { kubeconfig } = field.fields(["kubeconfig", "acceptContentTypes", "contentType", "qps", "burst"]);
      return kubeconfig.isAbsent ? {} : { kubeconfig: kubeconfig.text() };
    },
    hostnameOverride: textTo("hostname-override"),
    healthzBindAddress: textTo("healthz-bind-address"),
    metricsBindAddress: textTo("metrics-bind-address"),
    showHiddenMetricsForVersion: textTo("show-hidden-metrics-for-version"),
    mode: (field) => {
      const mode = field.choice("", ["", "iptables", "userspace"]);
      return mode === "" ? {} : { "proxy-mode": mode };
    },
    clusterCIDR: textTo("cluster-cidr"),
    // Where the proxy's own servers listen has flags of its own.
    bindAddress: textTo("bind-address"),
    bindAddressHardFail: booleanTo("bind-address-hard-fail"),
    configSyncPeriod: durationTo("config-sync-period"),
    detectLocalMode: textTo("detect-local-mode"),
    enableProfiling: booleanTo("profiling"),
    nodePortAddresses: textsTo("nodeport-addresses"),
    oomScoreAdj: (field) => ({ "oom-score-adj": field.integer(0, { min: -1000, max: 1000 }) }),
    iptables: (field) => {
      const fields = field.fields([
        "masqueradeBit",
        "masqueradeAll",
        "localhostNodePorts",
        "minSyncPeriod",
        "syncPeriod",
      ]);
      return {
        ...given(fields.masqueradeBit, (one) => ({ "iptables-masquerade-bit": one.integer(14, { min: 0, max: 31 }) })),
        ...given(fields.masqueradeAll, booleanTo("masquerade-all")),
        ...given(fields.localhostNodePorts, booleanTo("iptables-localhost-nodeports")),
        ...given(fields.minSyncPeriod, durationTo("iptables-min-sync-period")),
        ...given(fields.syncPeriod, durationTo("iptables-sync-period")),
      };
    },
    conntrack: (field) => {
      const counts = { min: 0, max: 2_147_483_647 };
      const fields = field.fields([
        ...(["maxPerCore", "min", "tcpEstablishedTimeout", "tcpCloseWaitTimeout"] as const),
        ...(["tcpBeLiberal", "udpTimeout", "udpStreamTimeout"] as const),
      ]);
      return {
        ...given(fields.maxPerCore, (one) => ({ "conntrack-max-per-core": one.integer(0, counts) })),
        ...given(fields.min, (one) => ({ "conntrack-min": one.integer(0, counts) })),
        ...given(fields.tcpEstablishedTimeout, textTo("conntrack-tcp-timeout-established")),
        ...given(fields.tcpCloseWaitTimeout, textTo("conntrack-tcp-timeout-close-wait")),
        ...given(fields.tcpBeLiberal, booleanTo("conntrack-tcp-be-liberal")),
        ...given(fields.udpTimeout, textTo("conntrack-udp-timeout")),
        ...given(fields.udpStreamTimeout, textTo("conntrack-udp-timeout-stream")),
      };
    },
  },
  others: "featureGates logging ipvs nftables winkernel detectLocal portRange windowsRunAsService",
};
