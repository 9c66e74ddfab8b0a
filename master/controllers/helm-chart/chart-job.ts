/** The Job that does to a release what a HelmChart says: pure. */
import { createHash } from "node:crypto";
import { type HelmChart, type HelmChartConfig, helmCharts, type ValuesSecret } from "#shared/api/helm-chart.ts";
import type { Job } from "#shared/api/types/batch-v1.generated.ts";
import type { Container, PodSpec, Secret, Toleration, Volume } from "#shared/api/types/core-v1.generated.ts";
import type { OwnerReference } from "#shared/api/types/meta-v1.generated.ts";
import { controlPlaneRole } from "../../own-board.ts";

export const chartLabel = "helmcharts.helm.cattle.io/chart";
export const hashAnnotation = "helmcharts.helm.cattle.io/configHash";

export type HelmAction = "install" | "delete";

export interface JobDefaults {
  /** Any image with `sh` and `helm`, or `helm_v3` as in k3s' klipper-helm. */
  readonly image: string;
  /** Where a chart that must come before the network finds the API: on a master's own board. */
  readonly httpsPort: number;
}

/** As upstream's helm-controller has it: what fails may be for want of a network that is still to come. */
const defaultBackOffLimit = 1000;

const findHelm = `set -eu
helm=helm
command -v helm >/dev/null || helm=helm_v3`;
/** Left over from a Job that was ended, or failed: `upgrade` alone would refuse those. */
const installScript = `${findHelm}
if [ -d /ca ]; then cat /ca/* >/tmp/ca.pem; fi
status=$($helm status "$NAME" 2>/dev/null | sed -n 's/^STATUS: //p')
case "$status" in
  '' | deployed | superseded) ;;
  *)
    if [ "$FAILURE_POLICY" = abort ]; then
      echo "release $NAME is $status, and the failurePolicy is abort" >&2
      exit 1
    fi
    $helm uninstall "$NAME" --wait
    ;;
esac
exec $helm upgrade --install "$NAME" "$CHART" "$@"`;
const deleteScript = `${findHelm}
exec $helm uninstall "$NAME" --ignore-not-found --wait "$@"`;

const nameOf = ({ metadata }: HelmChart): string => metadata.name ?? "";
export const jobName = (chart: HelmChart, action: HelmAction): string => `helm-${action}-${nameOf(chart)}`;
export const accountName = (chart: HelmChart): string => `helm-${nameOf(chart)}`;
export const bindingName = ({ metadata }: HelmChart): string => `helm-${metadata.namespace}-${metadata.name}`;
const contentName = (chart: HelmChart): string => `chart-values-${nameOf(chart)}`;

/** Nothing to install: the object says of no chart where it is. */
export const isEmpty = ({ spec }: HelmChart): boolean => !spec?.chart && !spec?.chartContent;

export const ownedBy = (chart: HelmChart): OwnerReference[] => [
  {
    apiVersion: `${helmCharts.group}/${helmCharts.version}`,
    kind: helmCharts.kind,
    name: nameOf(chart),
    uid: chart.metadata.uid ?? "",
    controller: true,
    blockOwnerDeletion: true,
  },
];

const chartFile = "chart.tgz";
const caFile = "repo-ca.pem";
const ownValues = "values-0.yaml";
const configValues = "values-1.yaml";

/** What the objects themselves carry, in a Secret for the Job to mount. */
export function contentSecret(chart: HelmChart, config: HelmChartConfig | undefined): Secret {
  const { chartContent, repoCA, valuesContent } = chart.spec ?? {};
  const encoded = (text: string): string => Buffer.from(text).toString("base64");
  const overrides = config?.spec?.valuesContent;
  return {
    apiVersion: "v1",
    kind: "Secret",
    type: "Opaque",
    metadata: { name: contentName(chart), namespace: chart.metadata.namespace, ownerReferences: ownedBy(chart) },
    data: {
      ...(chartContent ? { [chartFile]: chartContent.replace(/\s+/g, "") } : {}),
      ...(repoCA ? { [caFile]: encoded(repoCA) } : {}),
      ...(valuesContent ? { [ownValues]: encoded(valuesContent) } : {}),
      ...(overrides ? { [configValues]: encoded(overrides) } : {}),
    },
  };
}

/** Later ones win: the chart's values, then its Secrets', then those of the HelmChartConfig. */
function valuesFiles(chart: HelmChart, config: HelmChartConfig | undefined): string[] {
  const own = chart.spec?.valuesContent ? [`/content/${ownValues}`] : [];
  const overrides = config?.spec?.valuesContent ? [`/content/${configValues}`] : [];
  const files = (of: "chart" | "config", secrets: readonly ValuesSecret[] = []): string[] =>
    secrets.flatMap(({ name, keys }) => keys.map((key) => `/values/${of}/${name}/${key}`));
  return [
    ...own,
    ...files("chart", chart.spec?.valuesSecrets),
    ...overrides,
    ...files("config", config?.spec?.valuesSecrets),
  ];
}

/** Words that YAML reads as something else than text stay what they are, as in upstream's helm-controller. */
function setFlags(set: Readonly<Record<string, string | number>> = {}): string[] {
  return Object.keys(set)
    .sort()
    .flatMap((key) => {
      const value = set[key] ?? "";
      const isTyped = typeof value === "number" || /^(true|false|null)$/.test(value);
      return [isTyped ? "--set" : "--set-string", `${key}=${String(value).replaceAll(",", "\\,")}`];
    });
}

/** Kubernetes would put variables in place of `$(…)`. */
const literal = (text: string): string => text.replaceAll("$(", () => "$$(");

function flags(chart: HelmChart, config: HelmChartConfig | undefined): string[] {
  const spec = chart.spec ?? {};
  const hasCa = spec.repoCA !== undefined || spec.repoCAConfigMap !== undefined;
  const remote = spec.chartContent
    ? []
    : [
        ...(spec.version ? ["--version", literal(spec.version)] : []),
        ...(spec.repo ? ["--repo", literal(spec.repo)] : []),
        ...(hasCa ? ["--ca-file", "/tmp/ca.pem"] : []),
        ...(spec.authSecret ? ["--username", "$(AUTH_USERNAME)", "--password", "$(AUTH_PASSWORD)"] : []),
        ...(spec.authPassCredentials ? ["--pass-credentials"] : []),
        ...(spec.insecureSkipTLSVerify ? ["--insecure-skip-tls-verify"] : []),
        ...(spec.plainHTTP ? ["--plain-http"] : []),
      ];
  return [
    ...remote,
    ...(spec.createNamespace ? ["--create-namespace"] : []),
    ...(spec.takeOwnership ? ["--take-ownership"] : []),
    ...(spec.timeout ? ["--timeout", literal(spec.timeout)] : []),
    ...valuesFiles(chart, config).flatMap((file) => ["--values", literal(file)]),
    ...setFlags(spec.set).map(literal),
  ];
}

function secretVolumes(of: "chart" | "config", secrets: readonly ValuesSecret[] = []): [Volume, string][] {
  return secrets.map(({ name, keys }, index) => [
    { name: `values-${of}-${index}`, secret: { secretName: name, items: keys.map((key) => ({ key, path: key })) } },
    `/values/${of}/${name}`,
  ]);
}

/** Each with the folder where it is mounted. */
function volumes(chart: HelmChart, config: HelmChartConfig | undefined): [Volume, string][] {
  const { repoCA, repoCAConfigMap, dockerRegistrySecret, valuesSecrets } = chart.spec ?? {};
  const authorities = [
    ...(repoCA ? [{ secret: { name: contentName(chart), items: [{ key: caFile, path: caFile }] } }] : []),
    ...(repoCAConfigMap ? [{ configMap: { name: repoCAConfigMap.name } }] : []),
  ];
  const registry = {
    secretName: dockerRegistrySecret?.name,
    items: [{ key: ".dockerconfigjson", path: "config.json" }],
  };
  return [
    [{ name: "tmp", emptyDir: {} }, "/tmp"],
    [{ name: "content", secret: { secretName: contentName(chart) } }, "/content"],
    ...(authorities.length > 0
      ? [[{ name: "ca", projected: { sources: authorities } }, "/ca"] as [Volume, string]]
      : []),
    ...(dockerRegistrySecret ? [[{ name: "registry", secret: registry }, "/registry"] as [Volume, string]] : []),
    ...secretVolumes("chart", valuesSecrets),
    ...secretVolumes("config", config?.spec?.valuesSecrets),
  ];
}

const bootstrapTolerations: Toleration[] = [
  { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" },
  { key: "node.cloudprovider.kubernetes.io/uninitialized", operator: "Equal", value: "true", effect: "NoSchedule" },
  { key: "CriticalAddonsOnly", operator: "Exists" },
  { key: "node-role.kubernetes.io/etcd", operator: "Exists", effect: "NoExecute" },
  { key: controlPlaneRole, operator: "Exists", effect: "NoSchedule" },
];

function container(
  chart: HelmChart,
  config: HelmChartConfig | undefined,
  action: HelmAction,
  { image, httpsPort }: JobDefaults,
): Container {
  const spec = chart.spec ?? {};
  const { authSecret } = spec;
  const credential = (key: string) => ({ secretKeyRef: { name: authSecret?.name ?? "", key } });
  const env: Container["env"] = [
    { name: "NAME", value: literal(nameOf(chart)) },
    { name: "CHART", value: literal(spec.chartContent ? `/content/${chartFile}` : (spec.chart ?? "")) },
    { name: "FAILURE_POLICY", value: config?.spec?.failurePolicy ?? spec.failurePolicy ?? "reinstall" },
    { name: "HELM_NAMESPACE", value: spec.targetNamespace || chart.metadata.namespace },
    { name: "HOME", value: "/tmp" },
    ...(spec.dockerRegistrySecret ? [{ name: "HELM_REGISTRY_CONFIG", value: "/registry/config.json" }] : []),
    ...(authSecret
      ? [
          { name: "AUTH_USERNAME", valueFrom: credential("username") },
          { name: "AUTH_PASSWORD", valueFrom: credential("password") },
        ]
      : []),
    ...(spec.bootstrap
      ? [
          { name: "KUBERNETES_SERVICE_HOST", value: "127.0.0.1" },
          { name: "KUBERNETES_SERVICE_PORT", value: String(httpsPort) },
        ]
      : []),
  ];
  const timeout = spec.timeout ? ["--timeout", literal(spec.timeout)] : [];
  return {
    name: "helm",
    image: spec.jobImage || image,
    imagePullPolicy: "IfNotPresent",
    command: ["sh", "-c", literal(action === "install" ? installScript : deleteScript), "helm"],
    args: action === "install" ? flags(chart, config) : timeout,
    env,
    securityContext: spec.securityContext ?? {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      readOnlyRootFilesystem: true,
    },
    volumeMounts: volumes(chart, config).map(([{ name }, mountPath]) => ({ name, mountPath })),
  };
}

/** Without what an installation needs: it may be gone by now, and a pod would wait for it. */
function forDeletion(chart: HelmChart): HelmChart {
  const { valuesSecrets, authSecret, repoCA, repoCAConfigMap, dockerRegistrySecret, ...spec } = chart.spec ?? {};
  return { ...chart, spec };
}

/**
 * The Job for an action. Another one is needed when its hash differs.
 * @param referenced what counts of the Secrets that values come from
 */
export function chartJob(
  given: HelmChart,
  givenConfig: HelmChartConfig | undefined,
  action: HelmAction,
  defaults: JobDefaults,
  referenced: unknown,
): Job {
  const [chart, config] = action === "install" ? [given, givenConfig] : [forDeletion(given), undefined];
  const { bootstrap, podSecurityContext, backOffLimit = defaultBackOffLimit } = chart.spec ?? {};
  const labels = { [chartLabel]: nameOf(chart) };
  const pod: PodSpec = {
    restartPolicy: "OnFailure",
    serviceAccountName: accountName(chart),
    nodeSelector: { "kubernetes.io/os": "linux", ...(bootstrap ? { [controlPlaneRole]: "true" } : {}) },
    ...(bootstrap ? { hostNetwork: true, tolerations: bootstrapTolerations } : {}),
    ...(podSecurityContext ? { securityContext: podSecurityContext } : {}),
    containers: [container(chart, config, action, defaults)],
    volumes: volumes(chart, config).map(([volume]) => volume),
  };
  const content = JSON.stringify([pod, contentSecret(chart, config).data, referenced]);
  const hash = `SHA256=${createHash("sha256").update(content).digest("hex").toUpperCase()}`;
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: {
      name: jobName(chart, action),
      namespace: chart.metadata.namespace,
      labels,
      annotations: { [hashAnnotation]: hash },
      ownerReferences: ownedBy(chart),
    },
    spec: { backoffLimit: backOffLimit, template: { metadata: { labels }, spec: pod } },
  };
}
