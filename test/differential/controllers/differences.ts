/** Where what Bramble's controllers do differs from upstream's on purpose, or by chance. Everything else is as upstream's. */

interface ControllerDifference {
  readonly reason: string;
  /** Whether this is why the text, one difference as `comparison.ts` tells it, is there. */
  explains(step: string, difference: string): boolean;
}

const controllerDifferences: readonly ControllerDifference[] = [
  {
    reason: "A list without items is written as such; Go writes null, which owns no field.",
    explains: (_, difference) =>
      /^EndpointSlice .*\.fieldsV1\.f:(endpoints|ports): upstream undefined, ours \{\}$/.test(difference),
  },
  {
    reason:
      "Whether a Deployment sees its new ReplicaSet once without pods, from which having some is progress, is by chance.",
    explains: (_, difference) =>
      /^Deployment .*\.status\.conditions\.\d\.reason: .*"NewReplicaSetCreated".*$/.test(difference) ||
      /^Deployment .*\.message: .*"Created new replica set .*$/.test(difference),
  },
  {
    reason: "Who changes a condition twice within a second writes the time that stands there, and comes to own it not.",
    explains: (_, difference) =>
      /^PodDisruptionBudget .*\.f:lastTransitionTime: upstream (\{\}|undefined), ours (\{\}|undefined)$/.test(
        difference,
      ),
  },
  {
    reason: "A namespace tells what remains in it also while it waits for its pods.",
    explains: (step, difference) =>
      step.startsWith("namespace-") && /^Namespace .*(Remain|remaining|Removed|removed|finalizers)/.test(difference),
  },
  {
    reason: "An autoscaler that goes, or another of its name, while it is looked at is told of by chance.",
    explains: (_, difference) => difference.startsWith("only") && difference.includes('"reason":"FailedUpdateStatus"'),
  },
  {
    reason:
      "What repairs addresses of Services in the API server tells, by chance, of one that it has not heard of yet.",
    explains: (_, difference) => difference.includes('"reportingComponent":"ipallocator-repair-controller"'),
  },
  {
    reason: "Services are looked at when a node comes; upstream's wait until something else happens to them.",
    explains: (step, difference) =>
      step === "pods-of-absent-nodes: there" && difference.endsWith('.zone: upstream undefined, ours "late"'),
  },
  {
    reason:
      "A slice is changed as it is; the one that mirrors Endpoints is made anew in upstream, and loses the prefix of its name.",
    explains: (step, difference) =>
      step.startsWith("mirrored-") && difference.includes("generateName: upstream undefined"),
  },
  {
    reason:
      "A Service that becomes a mere name loses internalTrafficPolicy for all readers; upstream shows it still to watches, by which these objects are told.",
    explains: (_, difference) =>
      /^Service .*\.spec\.internalTrafficPolicy: upstream "Cluster", ours undefined$/.test(difference),
  },
  {
    reason: "Which of several endpoints helps out another zone is by chance.",
    explains: (step, difference) =>
      step.startsWith("hints-by-cpus: ") && /\.endpoints\.\d+\.nodeName: /.test(difference),
  },
  {
    reason: "A CronJob whose status changed while it made a Job looks again, and may find the Job before it is noted.",
    explains: (_, difference) => difference.startsWith("only ours") && difference.includes('"reason":"UnexpectedJob"'),
  },
  {
    reason: "A CronJob that deleted a Job, and has not heard of its own status since, looks for the Job once more.",
    explains: (_, difference) =>
      difference.startsWith("only ours") &&
      difference.includes('"reason":"MissingJob"') &&
      difference.includes('"namespace":"cron-replace"'),
  },
];

export const isExplained = (step: string, difference: string): boolean =>
  controllerDifferences.some(({ explains }) => explains(step, difference));
