import { isAlreadyExists } from "#shared/api/errors.ts";
import {
  type HelmChart,
  type HelmChartCondition,
  type HelmChartConfig,
  helmChartConfigs,
  helmCharts,
} from "#shared/api/helm-chart.ts";
import { keyOf, splitKey } from "#shared/api/object.ts";
import { clusterRoleBindings, jobs, namespaces, secrets, serviceAccounts } from "#shared/api/resources.ts";
import type { Job } from "#shared/api/types/batch-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import {
  type ControllerContext,
  type ControllerDefinition,
  defineController,
  watching,
} from "#shared/client/controller.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
import { canonicalText } from "../canonical-text.ts";
import { keepFinalizer } from "../protection-finalizer.ts";
import {
  accountName,
  bindingName,
  chartJob,
  chartLabel,
  contentSecret,
  type HelmAction,
  hashAnnotation,
  isEmpty,
  type JobDefaults,
  jobName,
  ownedBy,
} from "./chart-job.ts";

const finalizer = "wrangler.cattle.io/on-helm-chart-remove";
const unmanaged = "helmcharts.helm.cattle.io/unmanaged";
const fieldManager = "helm-controller";
const accountKind = { group: "", kind: "ServiceAccount" } as const;

interface Work {
  readonly chart: HelmChart;
  readonly config: HelmChartConfig | undefined;
  readonly context: ControllerContext;
  readonly defaults: JobDefaults;
}

/**
 * Installs, upgrades and uninstalls releases as HelmCharts say, by Jobs that run Helm. A HelmChartConfig of the same name
 * overrides one. Secrets that values come from are looked at with each change, and every ten minutes.
 */
export const helmChartController = (defaults: JobDefaults): ControllerDefinition =>
  defineController({
    name: "helm-controller",
    // An API server serves HelmCharts when it has been up for a moment; one that is not Bramble's, perhaps never.
    isOptional: true,
    watches: [
      watching(helmCharts),
      watching(helmChartConfigs),
      watching(jobs, {
        scope: { labelSelector: chartLabel },
        enqueue: ({ metadata }) => [`${metadata.namespace}/${metadata.labels?.[chartLabel]}`],
      }),
    ],
    resync_s: 600,
    async reconcile(key, context) {
      const chart = context.lister(helmCharts).get(key);
      if (!chart || chart.metadata.annotations?.[unmanaged] !== undefined) return undefined;
      const config = context.lister(helmChartConfigs).get(key);
      if (chart.metadata.deletionTimestamp !== undefined) await uninstall({ chart, config, context, defaults });
      else if (!isEmpty(chart)) {
        const kept = await keepFinalizer(context.client, helmCharts, chart, finalizer, () => true);
        await install({ chart: kept, config, context, defaults });
      }
      return undefined;
    },
  });

const jobOf = ({ chart, context }: Work, action: HelmAction): Job | undefined =>
  context.lister(jobs, { labelSelector: chartLabel }).get(`${chart.metadata.namespace}/${jobName(chart, action)}`);

const has = (job: Job | undefined, condition: "Complete" | "Failed"): boolean =>
  job?.status?.conditions?.some(({ type, status }) => type === condition && status === "True") ?? false;

async function install(work: Work): Promise<void> {
  const present = await ensureJob(work, "install");
  await writeStatus(work, present);
}

/** A chart is gone once its release is; where the namespace goes too, nothing can run there, and nothing is waited for. */
async function uninstall(work: Work): Promise<void> {
  const { chart, context } = work;
  const { client, events } = context;
  if (!chart.metadata.finalizers?.includes(finalizer)) return;
  if (!isEmpty(chart)) {
    if (jobOf(work, "install")) {
      await removeJob(client, jobOf(work, "install"));
      return;
    }
    if (await isGoing(client, chart.metadata.namespace)) {
      const message = "the namespace is being deleted: the release is not uninstalled";
      events.record(chart, { type: "Warning", reason: "NotUninstalled", message });
    } else {
      const present = await ensureJob(work, "delete");
      await writeStatus(work, present);
      if (!has(present, "Complete")) return;
    }
  }
  await unlessGone(client.delete(clusterRoleBindings, { name: bindingName(chart) }));
  const latest = await client.get(helmCharts, splitKey(keyOf(chart)));
  await keepFinalizer(client, helmCharts, latest, finalizer, () => false);
}

async function isGoing(client: Client, namespace = ""): Promise<boolean> {
  const { metadata } = await client.get(namespaces, { name: namespace });
  return metadata.deletionTimestamp !== undefined;
}

/** Gives the Job as it is; undefined while a former one has yet to go. */
async function ensureJob(work: Work, action: HelmAction): Promise<Job | undefined> {
  const { chart, config, context, defaults } = work;
  const { client, events } = context;
  const wanted = chartJob(chart, config, action, defaults, await referencedValues(work));
  const present = jobOf(work, action);
  const hash = wanted.metadata.annotations?.[hashAnnotation];
  if (present?.metadata.deletionTimestamp !== undefined) return undefined;
  if (present?.metadata.annotations?.[hashAnnotation] === hash) return present;
  if (present) {
    await removeJob(client, present);
    return undefined;
  }
  await ensureAccess(client, chart);
  await apply(client, secrets, contentSecret(chart, config));
  try {
    const created = await client.create(jobs, wanted);
    const message = `${action === "install" ? "Applying" : "Uninstalling"} HelmChart using Job ${keyOf(wanted)}`;
    events.record(chart, { type: "Normal", reason: action === "install" ? "ApplyJob" : "RemoveJob", message });
    return created;
  } catch (error) {
    // The cache has yet to show what was made before.
    if (isAlreadyExists(error)) return undefined;
    throw error;
  }
}

/** What of the Secrets asks for an upgrade when it changes. */
async function referencedValues({ chart, config, context }: Work): Promise<unknown> {
  const all = [...(chart.spec?.valuesSecrets ?? []), ...(config?.spec?.valuesSecrets ?? [])];
  const data = [];
  for (const { name, keys, ignoreUpdates } of all) {
    if (ignoreUpdates) continue;
    // A pod waits for one that is yet to come.
    const secret = await unlessGone(context.client.get(secrets, { namespace: chart.metadata.namespace, name }));
    data.push(keys.map((key) => secret?.data?.[key] ?? null));
  }
  return data;
}

/** A chart may hold anything, so that its Job may do anything: who may make HelmCharts is a cluster's administrator. */
async function ensureAccess(client: Client, chart: HelmChart): Promise<void> {
  const { namespace = "" } = chart.metadata;
  const name = accountName(chart);
  await apply(client, serviceAccounts, {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name, namespace, ownerReferences: ownedBy(chart) },
  });
  await apply(client, clusterRoleBindings, {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: bindingName(chart), labels: { [chartLabel]: chart.metadata.name ?? "" } },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
    subjects: [{ kind: accountKind.kind, namespace, name }],
  });
}

async function apply<T extends Parameters<typeof keyOf>[0]>(
  client: Client,
  ref: Parameters<Client["patch"]>[0],
  object: T,
): Promise<void> {
  const { name = "", namespace } = object.metadata;
  const key = { name, ...(namespace ? { namespace } : {}) };
  await client.patch(ref, key, { type: "apply", body: object, force: true }, { fieldManager });
}

/** With its pods, so that no two Helms work on one release. */
async function removeJob(client: Client, job: Job | undefined): Promise<void> {
  if (!job || job.metadata.deletionTimestamp !== undefined) return;
  const preconditions = { uid: job.metadata.uid };
  await unlessGone(client.delete(jobs, splitKey(keyOf(job)), { propagationPolicy: "Foreground", preconditions }));
}

async function writeStatus({ chart, context }: Work, job: Job | undefined): Promise<void> {
  if (!job) return;
  const failed = job.status?.conditions?.find(({ type, status }) => type === "Failed" && status === "True");
  const conditions: HelmChartCondition[] = [
    {
      type: "JobCreated",
      status: "True",
      reason: "Job created",
      message: `Applying HelmChart using Job ${keyOf(job)}`,
    },
    failed
      ? { type: "Failed", status: "True", reason: failed.reason ?? "", message: failed.message ?? "" }
      : { type: "Failed", status: "False" },
  ];
  const status = { jobName: job.metadata.name ?? "", conditions };
  if (canonicalText(status) === canonicalText(chart.status)) return;
  const { name = "", namespace } = chart.metadata;
  await context.client.patch(
    helmCharts,
    { name, ...(namespace ? { namespace } : {}) },
    { type: "merge", body: { status } },
    { subresource: "status" },
  );
}
