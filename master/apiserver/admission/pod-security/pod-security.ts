import { invalid } from "#shared/api/errors.ts";
import { fieldsOf, type KubeObject } from "#shared/api/object.ts";
import { namespaces, pods } from "#shared/api/resources.ts";
import type { Container, Namespace, Pod, PodSpec } from "#shared/api/types/core-v1.generated.ts";
import type { ObjectMeta } from "#shared/api/types/meta-v1.generated.ts";
import type { ResourceReader } from "../../registry/reader.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission.ts";
import { isWriteTo, refusal } from "../attributes.ts";
import type { CheckedPod } from "./check.ts";
import { describeViolations, violations } from "./checks.ts";
import { countEvaluation, countExemption, type PolicyMode } from "./evaluation-counts.ts";
import { exemptionOf, type PodSecurityRules, usualPodSecurity } from "./exemptions.ts";
import {
  describeLabels,
  describeLevel,
  isFullyPrivileged,
  isStricter,
  type LevelVersion,
  type NamespacePolicy,
  policyOf,
} from "./levels.ts";
import { containersOf } from "./wording.ts";

const annotations = {
  exempt: "pod-security.kubernetes.io/exempt",
  enforced: "pod-security.kubernetes.io/enforce-policy",
  violated: "pod-security.kubernetes.io/audit-violations",
  error: "pod-security.kubernetes.io/error",
};

/** Kinds with a pod template, and where it stands. */
const templates: Readonly<Record<string, (spec: Record<string, unknown>) => unknown>> = {
  "replicationcontrollers.": (spec) => spec["template"],
  "replicasets.apps": (spec) => spec["template"],
  "deployments.apps": (spec) => spec["template"],
  "statefulsets.apps": (spec) => spec["template"],
  "daemonsets.apps": (spec) => spec["template"],
  "jobs.batch": (spec) => spec["template"],
  "cronjobs.batch": (spec) => (spec["jobTemplate"] as { spec?: { template?: unknown } } | undefined)?.spec?.template,
};

/** Subresources of pods that cannot change what a pod may do. */
const harmless = ["exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status"];
const longestCheck = 3000;

/** Holds namespaces to the Pod Security Standards that their labels name: pods outside are refused, and pod templates
 *  outside get a warning. */
export class PodSecurity implements AdmissionPlugin {
  readonly name = "PodSecurity";

  constructor(
    private readonly reader: ResourceReader,
    private readonly rules: PodSecurityRules = usualPodSecurity,
  ) {}

  validate(attributes: AdmissionAttributes): undefined {
    const { operation, object, declaration } = attributes;
    if (!object || (operation !== "CREATE" && operation !== "UPDATE")) return;
    const { group, plural } = declaration.ref;
    if (isWriteTo(attributes, namespaces)) this.#namespace(attributes, object as Namespace);
    else if (group === pods.group && plural === pods.plural) this.#pod(attributes, object as Pod);
    else {
      const template = templates[`${plural}.${group}`];
      if (template && !attributes.subresource) this.#template(attributes, template(fieldsOf(object)["spec"] as never));
    }
  }

  #pod(attributes: AdmissionAttributes, pod: Pod): void {
    if (harmless.includes(attributes.subresource ?? "") || !pod.spec) return;
    if (this.#isExempt(attributes, pod.spec)) return;
    const policy = this.#policyOf(attributes);
    if (policy.errors.length === 0 && isFullyPrivileged(policy)) {
      countEvaluation("allow", "enforce", policy.enforce, attributes);
      attributes.auditAnnotations[annotations.enforced] = describeLevel(policy.enforce);
      return;
    }
    if (attributes.operation === "UPDATE" && !changesContainers(pod.spec, (attributes.oldObject as Pod).spec)) return;
    attributes.auditAnnotations[annotations.enforced] = describeLevel(policy.enforce);
    const found = violations(policy.enforce, pod);
    countEvaluation(found.length > 0 ? "deny" : "allow", "enforce", policy.enforce, attributes);
    if (found.length > 0)
      throw refusal(
        attributes,
        `violates PodSecurity "${describeLevel(policy.enforce)}": ${describeViolations(found)}`,
      );
    this.#tell(attributes, pod);
  }

  #template(attributes: AdmissionAttributes, template: unknown): void {
    const { metadata, spec } = (template ?? {}) as { metadata?: ObjectMeta; spec?: PodSpec };
    if (spec && !this.#isExempt(attributes, spec)) this.#tell(attributes, { metadata: metadata ?? {}, spec });
  }

  #isExempt(attributes: AdmissionAttributes, { runtimeClassName: runtimeClass }: PodSpec): boolean {
    const { namespace = "", user } = attributes;
    const by = exemptionOf(this.rules.exemptions, { user: user.name, namespace, runtimeClass });
    if (by === undefined) return false;
    attributes.auditAnnotations[annotations.exempt] = by;
    countExemption(attributes);
    return true;
  }

  /** Warnings and audit annotations. */
  #tell(attributes: AdmissionAttributes, pod: CheckedPod): void {
    const { audit, warn, errors } = this.#policyOf(attributes);
    if (errors.length > 0)
      attributes.auditAnnotations[annotations.error] = `Failed to parse policy: ${errors
        .map(({ field, message }) => `${field}: ${message}`)
        .join(", ")}`;
    const text = (mode: PolicyMode, level: LevelVersion): string | undefined => {
      const found = violations(level, pod);
      if (found.length === 0) return undefined;
      countEvaluation("deny", mode, level, attributes);
      return `would violate PodSecurity "${describeLevel(level)}": ${describeViolations(found)}`;
    };
    const [audited, warned] = [text("audit", audit), text("warn", warn)];
    if (audited) attributes.auditAnnotations[annotations.violated] = audited;
    if (warned) attributes.warnings.push(warned);
  }

  #policyOf({ namespace = "" }: AdmissionAttributes) {
    return policyOf(this.reader.get(namespaces, { name: namespace })?.metadata.labels, this.rules.defaults);
  }

  #namespace(attributes: AdmissionAttributes, namespace: Namespace): void {
    const { defaults } = this.rules;
    const policy = policyOf(namespace.metadata.labels, defaults);
    const old = attributes.oldObject
      ? policyOf((attributes.oldObject as KubeObject).metadata.labels, defaults)
      : undefined;
    if (policy.errors.length > 0 && !Bun.deepEquals(policy.errors, old?.errors))
      throw invalid(namespaces, attributes.name, policy.errors);
    const isExempt = this.rules.exemptions.namespaces.includes(attributes.name);
    if (!old && isExempt) this.#warnOfExemption(attributes, namespace, policy);
    if (!old || Bun.deepEquals(policy.enforce, old.enforce)) return;
    const isRelaxed =
      policy.enforce.version === old.enforce.version && !isStricter(policy.enforce.level, old.enforce.level);
    if (policy.enforce.level === "privileged" || isRelaxed) return;
    if (isExempt) this.#warnOfExemption(attributes, namespace, policy);
    else attributes.warnings.push(...this.#warningsAbout(attributes.name, policy.enforce));
  }

  /** Who labels a namespace that is held to nothing is to know. */
  #warnOfExemption({ name, warnings }: AdmissionAttributes, namespace: Namespace, policy: NamespacePolicy): void {
    const { enforce, audit, warn } = policy;
    if (isFullyPrivileged(policy) || Bun.deepEquals({ enforce, audit, warn }, this.rules.defaults)) return;
    const described = describeLabels(policy, namespace.metadata.labels);
    warnings.push(
      `namespace ${JSON.stringify(name)} is exempt from Pod Security, and the policy (${described}) will be ignored`,
    );
  }

  /** Which of the pods that are there a new level would have refused. */
  #warningsAbout(namespace: string, level: LevelVersion): string[] {
    const all = this.reader.list(pods, namespace);
    const byWarning = new Map<string, string[]>();
    for (const pod of all.slice(0, longestCheck)) {
      const found = violations(level, pod);
      if (found.length === 0) continue;
      const warning = found.map(({ reason }) => reason).join(", ");
      byWarning.set(warning, [...(byWarning.get(warning) ?? []), pod.metadata.name ?? ""]);
    }
    const partial =
      all.length > longestCheck
        ? [
            `new PodSecurity enforce level only checked against the first ${longestCheck} of ${all.length} existing pods`,
          ]
        : [];
    if (byWarning.size === 0) return partial;
    const lines = [...byWarning].map(([warning, names]) => {
      const [first = ""] = names.sort();
      const others = names.length - 1;
      const more = others === 0 ? "" : ` (and ${others} other ${others === 1 ? "pod" : "pods"})`;
      return `${first}${more}: ${warning}`;
    });
    return [
      ...partial,
      `existing pods in namespace "${namespace}" violate the new PodSecurity enforce level "${describeLevel(level)}"`,
      ...lines.sort(),
    ];
  }
}

/** Only containers and their images can still change what a pod may do. */
function changesContainers(spec: PodSpec, old: PodSpec): boolean {
  if (spec.containers.length !== old.containers.length) return true;
  if ((spec.initContainers ?? []).length !== (old.initContainers ?? []).length) return true;
  const before = new Map(containersOf(old).map(({ name, image }) => [name, image]));
  return containersOf(spec).some(({ name, image }: Container) => !before.has(name) || before.get(name) !== image);
}
