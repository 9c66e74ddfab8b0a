import type { FieldError } from "#shared/api/errors.ts";
import { statefulSets } from "#shared/api/resources.ts";
import type { StatefulSet, StatefulSetSpec } from "#shared/api/types/apps-v1.generated.ts";
import type { PodTemplateSpec } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, containerColumns, nameColumn } from "../columns.ts";
import { validateClaimSpec } from "../core/claim-spec.ts";
import { claimSpecWarnings } from "../core/claim-warnings.ts";
import { defaultPodTemplate, withPodTemplate } from "../core/pod/defaults.ts";
import { templateWarnings } from "../core/pod/warnings.ts";
import { validateLastingTemplate } from "../core/pod-template-rules.ts";
import { defaultClaimSpec } from "../core/volume-defaults.ts";
import { scale, status } from "../subresources.ts";
import { collect, type Field, hasFirmFault, nonNegative, oneOf, semanticEqual } from "../validation/field.ts";
import { isDns1123Label } from "../validation/names.ts";
import { validateCollisions } from "./deployment.ts";
import { isEvaluable, validateWorkloadSelector } from "./selector-rules.ts";

function applyDefaults(draft: StatefulSet): void {
  draft.spec ??= {} as StatefulSetSpec;
  const { spec } = draft;
  spec.podManagementPolicy ||= "OrderedReady";
  spec.updateStrategy ??= {};
  if (!spec.updateStrategy.type) {
    spec.updateStrategy.type = "RollingUpdate";
    spec.updateStrategy.rollingUpdate ??= {};
  }
  if (spec.updateStrategy.type === "RollingUpdate" && spec.updateStrategy.rollingUpdate) {
    spec.updateStrategy.rollingUpdate.partition ??= 0;
  }
  spec.persistentVolumeClaimRetentionPolicy ??= {};
  spec.persistentVolumeClaimRetentionPolicy.whenDeleted ||= "Retain";
  spec.persistentVolumeClaimRetentionPolicy.whenScaled ||= "Retain";
  spec.replicas ??= 1;
  spec.revisionHistoryLimit ??= 10;
  spec.template ??= {};
  defaultPodTemplate(spec.template);
  for (const claim of spec.volumeClaimTemplates ?? []) {
    claim.apiVersion = "v1";
    claim.kind = "PersistentVolumeClaim";
    claim.spec ??= {};
    defaultClaimSpec(claim.spec);
    claim.status ??= {};
    claim.status.phase ||= "Pending";
  }
}

/** The template as its pods will be: claims are volumes, and the controller sets the host's name. */
function withClaimVolumes(spec: StatefulSetSpec): PodTemplateSpec {
  const claims = new Set((spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata?.name ?? ""));
  const { hostname: _h, subdomain: _s, ...pod } = spec.template.spec ?? { containers: [] };
  if (claims.size === 0) return { ...spec.template, spec: pod };
  const volumes = [
    ...[...claims].map((name) => ({ name, persistentVolumeClaim: { claimName: name } })),
    ...(pod.volumes ?? []).filter(({ name }) => !claims.has(name)),
  ];
  return { ...spec.template, spec: { ...pod, volumes } };
}

/** Upstream keeps MaxUnavailableStatefulSet closed: pods are replaced one at a time. */
function dropMaxUnavailable({ spec }: StatefulSet, old?: Readonly<StatefulSet>): void {
  if (old?.spec.updateStrategy?.rollingUpdate?.maxUnavailable === undefined)
    delete spec.updateStrategy?.rollingUpdate?.maxUnavailable;
}

function validateStrategy({ updateStrategy }: StatefulSetSpec, field: Field): void {
  const { type = "", rollingUpdate } = updateStrategy ?? {};
  const shown = rollingUpdate && { Partition: rollingUpdate.partition ?? 0, MaxUnavailable: null };
  if (type === "") field.required();
  else if (type === "OnDelete") {
    if (rollingUpdate) field.at("rollingUpdate").invalid(shown, "only allowed for updateStrategy 'RollingUpdate'");
  } else if (type === "RollingUpdate") {
    nonNegative(rollingUpdate?.partition, field.at("rollingUpdate").at("partition"));
  } else field.invalid({ Type: type, RollingUpdate: shown ?? null }, "must be 'RollingUpdate' or 'OnDelete'");
}

function validateSpec(spec: StatefulSetSpec, when: "create" | "update", field: Field, old?: StatefulSetSpec): void {
  const policy = spec.podManagementPolicy ?? "";
  if (policy === "") field.at("podManagementPolicy").required();
  else if (policy !== "OrderedReady" && policy !== "Parallel") {
    field.at("podManagementPolicy").invalid(policy, "must be 'OrderedReady' or 'Parallel'");
  }
  validateStrategy(spec, field.at("updateStrategy"));
  for (const key of ["whenDeleted", "whenScaled"] as const) {
    const retention = spec.persistentVolumeClaimRetentionPolicy;
    if (retention) oneOf(retention[key], ["Retain", "Delete"], field.at("persistentVolumeClaimRetentionPolicy", key));
  }
  if (when === "create") {
    for (const [index, claim] of (spec.volumeClaimTemplates ?? []).entries()) {
      validateClaimSpec(claim.spec, field.at("volumeClaimTemplates").index(index).at("spec"));
    }
    const name = spec.serviceName;
    if (name) field.at("serviceName").invalidEach(name, isDns1123Label(name));
  }
  nonNegative(spec.replicas, field.at("replicas"));
  nonNegative(spec.minReadySeconds, field.at("minReadySeconds"));
  nonNegative(spec.ordinals?.start, field.at("ordinals.start"));
  validateWorkloadSelector(spec.selector, "statefulset", field.at("selector"));
  if (isEvaluable(spec.selector)) {
    validateLastingTemplate(withClaimVolumes(spec), spec.selector, "StatefulSet", field.at("template"), {
      // What is there may be wrong; to judge its pods would keep whoever would mend it, or let it go, from writing.
      isPodUnjudged: old !== undefined && hasFirmFault(collect((root) => validateSpec(old, "update", root))),
    });
  } else field.at("selector").invalid(spec.selector, "");
}

const updatable = [
  "replicas",
  "template",
  "updateStrategy",
  "minReadySeconds",
  "ordinals",
  "revisionHistoryLimit",
  "persistentVolumeClaimRetentionPolicy",
] as const;

function validateUpdate(object: StatefulSet, old: Readonly<StatefulSet>): FieldError[] {
  return collect((root) => {
    const field = root.at("spec");
    validateSpec(object.spec, "update", field, old.spec);
    const masked: StatefulSetSpec = { ...object.spec };
    for (const key of updatable) Object.assign(masked, { [key]: old.spec[key] });
    if (!semanticEqual(masked, old.spec)) {
      field.forbidden(
        "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
      );
    }
  });
}

const counts = [
  "replicas",
  "readyReplicas",
  "currentReplicas",
  "updatedReplicas",
  "availableReplicas",
  "observedGeneration",
  "collisionCount",
] as const;

function validateStatusUpdate({ status: seen }: StatefulSet, old: Readonly<StatefulSet>): FieldError[] {
  return collect((root) => {
    const field = root.at("status");
    const { replicas = 0, readyReplicas = 0, availableReplicas = 0 } = seen ?? {};
    for (const key of counts) nonNegative(seen?.[key], field.at(key));
    for (const key of ["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"] as const) {
      const count = seen?.[key] ?? 0;
      if (count > replicas) field.at(key).invalid(count, "cannot be greater than status.replicas");
    }
    if (availableReplicas > readyReplicas) {
      field.at("availableReplicas").invalid(availableReplicas, "cannot be greater than status.readyReplicas");
    }
    validateCollisions(seen?.collisionCount ?? 0, seen?.collisionCount, old.status?.collisionCount, field);
  });
}

export const statefulSet: ResourceDeclaration<StatefulSet> = {
  ref: statefulSets,
  shortNames: ["sts"],
  categories: ["all"],
  subresources: { scale, status },
  columns: [
    nameColumn,
    column("Ready", ({ spec, status: seen }) => `${seen?.readyReplicas ?? 0}/${spec.replicas ?? 0}`),
    ageColumn,
    ...containerColumns<StatefulSet>(({ spec }) => spec.template.spec?.containers),
  ],
  strategy: withPodTemplate<StatefulSet>(({ spec }) => spec.template, {
    hasStatus: true,
    hasGeneration: true,
    validateName: isDns1123Label,
    warnings: (object, old) => [
      ...templateWarnings(object, old),
      // On updates upstream names the place as its Go struct has it.
      ...(object.spec.volumeClaimTemplates ?? []).flatMap(({ spec }, index) =>
        claimSpecWarnings(spec, `spec.volumeClaimTemplates[${index}]${old ? ".Spec" : ""}`),
      ),
      ...((object.spec.revisionHistoryLimit ?? 0) < 0
        ? ["spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"]
        : []),
    ],
    applyDefaults,
    prepareForCreate(draft) {
      dropMaxUnavailable(draft);
      draft.status = { replicas: 0, availableReplicas: 0 };
    },
    prepareForUpdate: dropMaxUnavailable,
    validate: (object) => collect((root) => validateSpec(object.spec, "create", root.at("spec"))),
    validateUpdate,
    validateStatusUpdate,
  }),
};
