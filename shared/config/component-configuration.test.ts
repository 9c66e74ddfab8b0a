import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { kubeletOptions, proxyOptions } from "./board-component-settings.ts";
import { readComponentConfiguration } from "./component-configuration.ts";
import { kubeProxyConfiguration } from "./kube-proxy-configuration.ts";
import { kubeletConfiguration } from "./kubelet-configuration.ts";
import { loadSettings } from "./load.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-configuration-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function fileOf(content: object | string): string {
  const path = join(folder, "file.yaml");
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

const kubelet = { apiVersion: "kubelet.config.k8s.io/v1beta1", kind: "KubeletConfiguration" };

describe("a KubeletConfiguration", () => {
  test("stands for the settings of its fields; fields that do nothing here are named", () => {
    const { settings, withoutEffect } = readComponentConfiguration(
      fileOf({
        ...kubelet,
        staticPodPath: "/etc/kubernetes/manifests",
        clusterDNS: ["10.96.0.10"],
        authentication: {
          anonymous: { enabled: false },
          webhook: { enabled: true, cacheTTL: "0s" },
          x509: { clientCAFile: "/ca" },
        },
        authorization: { mode: "Webhook" },
        kubeReserved: { cpu: "100m", memory: "64Mi" },
        registerWithTaints: [
          { key: "a", value: "b", effect: "NoSchedule" },
          { key: "c", effect: "NoExecute" },
        ],
        shutdownGracePeriod: "1m30s",
        shutdownGracePeriodByPodPriority: [{ priority: -10, shutdownGracePeriodSeconds: 20 }],
        imageGCHighThresholdPercent: 70,
        imageGCLowThresholdPercent: 60,
        imageMaximumGCAge: "168h",
        imagePullCredentialsVerificationPolicy: "AlwaysVerify",
        cgroupDriver: "systemd",
        serializeImagePulls: false,
        hairpinMode: "hairpin-veth",
        evictionHard: { "memory.available": "200Mi" },
        nodeStatusUpdateFrequency: "5s",
        crashLoopBackOff: { maxContainerRestartPeriod: "20s" },
        memorySwap: { swapBehavior: "LimitedSwap" },
        featureGates: { NodeSwap: true },
        logging: { verbosity: 5 },
      }),
      kubeletConfiguration,
    );
    expect(withoutEffect).toEqual(["hairpinMode"]);
    expect(loadSettings(kubeletOptions, settings, undefined)).toMatchObject({
      podManifestPath: "/etc/kubernetes/manifests",
      clusterDns: ["10.96.0.10"],
      clientCaFile: "/ca",
      kubeReserved: ["cpu=100m", "memory=64Mi"],
      registerWithTaints: ["a=b:NoSchedule", "c:NoExecute"],
      imageGcHighThreshold: 70,
      imageGcLowThreshold: 60,
      imageMaximumGcAge: 7 * 86_400_000,
      imagePullCredentialsVerificationPolicy: "AlwaysVerify",
      evictionHard: ["memory.available<200Mi"],
      nodeStatusUpdateFrequency: 5_000,
      nodeStatusReportFrequency: 5_000,
      serializeImagePulls: false,
      maxParallelImagePulls: 0,
      crashLoopBackOffMax: 20_000,
      swapBehavior: "LimitedSwap",
      featureGates: ["NodeSwap=true"],
      logLevel: "debug",
      shutdownGracePeriod: 90_000,
      shutdownGracePeriodByPodPriority: ["-10=20"],
      port: 10_250,
      healthzPort: 10_248,
    });
  });

  test("everything that is wrong is said at once", () => {
    const path = fileOf({
      ...kubelet,
      staticPods: "/x",
      port: "many",
      readOnlyPort: 10_255,
      authentication: { anonymous: { enabled: true } },
    });
    let message = "";
    try {
      readComponentConfiguration(path, kubeletConfiguration);
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toContain('unknown field "staticPods"');
    expect(message).toContain("port: expected a whole number");
    expect(message).toContain("readOnlyPort: there is no port without authentication");
    expect(message).toContain("authentication.anonymous.enabled: nobody unknown is let in");
  });

  test("another version is refused", () => {
    const path = fileOf({ ...kubelet, apiVersion: "kubelet.config.k8s.io/v1" });
    expect(() => readComponentConfiguration(path, kubeletConfiguration)).toThrow("apiVersion: supported values");
  });
});

test("the KubeletConfiguration that kubeadm writes is taken whole, and what is zero in it says nothing", () => {
  const { settings, withoutEffect } = readComponentConfiguration(
    fileOf(`apiVersion: kubelet.config.k8s.io/v1beta1
authentication:
  anonymous: {enabled: false}
  webhook: {cacheTTL: 0s, enabled: true}
  x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}
authorization:
  mode: Webhook
  webhook: {cacheAuthorizedTTL: 0s, cacheUnauthorizedTTL: 0s}
cgroupDriver: systemd
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
containerRuntimeEndpoint: ""
cpuManagerReconcilePeriod: 0s
crashLoopBackOff: {}
evictionPressureTransitionPeriod: 0s
fileCheckFrequency: 0s
healthzBindAddress: 127.0.0.1
healthzPort: 10248
httpCheckFrequency: 0s
imageMaximumGCAge: 0s
imageMinimumGCAge: 0s
kind: KubeletConfiguration
logging:
  flushFrequency: 0
  options: {json: {infoBufferSize: "0"}, text: {infoBufferSize: "0"}}
  verbosity: 0
memorySwap: {}
nodeStatusReportFrequency: 0s
nodeStatusUpdateFrequency: 0s
resolvConf: /run/systemd/resolve/resolv.conf
rotateCertificates: true
runtimeRequestTimeout: 0s
shutdownGracePeriod: 0s
shutdownGracePeriodCriticalPods: 0s
staticPodPath: /etc/kubernetes/manifests
streamingConnectionIdleTimeout: 0s
syncFrequency: 0s
volumeStatsAggPeriod: 0s
`),
    kubeletConfiguration,
  );
  expect(withoutEffect).toEqual([]);
  const defaults = loadSettings(kubeletOptions, {}, undefined);
  expect(loadSettings(kubeletOptions, settings, undefined)).toEqual({
    ...defaults,
    clientCaFile: "/etc/kubernetes/pki/ca.crt",
    clusterDns: ["10.96.0.10"],
    resolvConf: "/run/systemd/resolve/resolv.conf",
    podManifestPath: "/etc/kubernetes/manifests",
  });
});

test("a KubeProxyConfiguration stands for the settings of its fields", () => {
  const { settings } = readComponentConfiguration(
    fileOf({
      apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
      kind: "KubeProxyConfiguration",
      clientConnection: { kubeconfig: "/k" },
      mode: "",
      clusterCIDR: "10.244.0.0/16",
      conntrack: { maxPerCore: 0 },
    }),
    kubeProxyConfiguration,
  );
  expect(loadSettings(proxyOptions, settings, undefined)).toMatchObject({
    kubeconfig: "/k",
    proxyMode: "iptables",
    clusterCidr: "10.244.0.0/16",
    healthzBindAddress: "0.0.0.0:10256",
    metricsBindAddress: "127.0.0.1:10249",
  });
});

test("a KubeProxyConfiguration as kubeadm writes it says nothing that has no effect", () => {
  const { settings, withoutEffect } = readComponentConfiguration(fileOf(kubeadmsProxy), kubeProxyConfiguration);
  expect(withoutEffect).toEqual([]);
  expect(loadSettings(proxyOptions, settings, undefined)).toMatchObject({
    kubeconfig: "/var/lib/kube-proxy/kubeconfig.conf",
    clusterCidr: "10.244.0.0/16",
    healthzBindAddress: "0.0.0.0:10256",
    metricsBindAddress: "127.0.0.1:10249",
  });
});

test("a KubeProxyConfiguration says how Services work, and what is set in the kernel", () => {
  const { settings, withoutEffect } = readComponentConfiguration(
    fileOf({
      apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
      kind: "KubeProxyConfiguration",
      iptables: { masqueradeAll: true, localhostNodePorts: false, minSyncPeriod: "1s" },
      conntrack: { maxPerCore: 32_768, min: 131_072, tcpEstablishedTimeout: "24h0m0s", tcpBeLiberal: true },
      nodePortAddresses: ["192.168.1.0/24"],
      oomScoreAdj: -999,
    }),
    kubeProxyConfiguration,
  );
  expect(withoutEffect).toEqual([]);
  expect(loadSettings(proxyOptions, settings, undefined)).toMatchObject({
    masqueradeAll: true,
    iptablesLocalhostNodeports: false,
    conntrackMaxPerCore: 32_768,
    conntrackTcpTimeoutEstablished: 86_400_000,
    conntrackTcpBeLiberal: true,
    nodeportAddresses: ["192.168.1.0/24"],
    oomScoreAdj: -999,
  });
});

/** The ConfigMap kube-proxy of a cluster that kubeadm 1.35 has made. */
const kubeadmsProxy = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection:
  acceptContentTypes: ""
  burst: 0
  contentType: ""
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
  qps: 0
clusterCIDR: 10.244.0.0/16
configSyncPeriod: 0s
conntrack:
  maxPerCore: null
  min: null
  tcpBeLiberal: false
  tcpCloseWaitTimeout: null
  tcpEstablishedTimeout: null
  udpStreamTimeout: 0s
  udpTimeout: 0s
detectLocal:
  bridgeInterface: ""
  interfaceNamePrefix: ""
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables:
  localhostNodePorts: null
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
ipvs:
  excludeCIDRs: null
  minSyncPeriod: 0s
  scheduler: ""
  strictARP: false
  syncPeriod: 0s
  tcpFinTimeout: 0s
  tcpTimeout: 0s
  udpTimeout: 0s
kind: KubeProxyConfiguration
logging:
  flushFrequency: 0
  options:
    json:
      infoBufferSize: "0"
    text:
      infoBufferSize: "0"
  verbosity: 0
metricsBindAddress: ""
mode: ""
nftables:
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
winkernel:
  enableDSR: false
  forwardHealthCheckVip: false
  networkName: ""
  rootHnsEndpointName: ""
  sourceVip: ""
`;
