import { isAlreadyExists } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { flowSchemas, priorityLevelConfigurations } from "#shared/api/resources.ts";
import type { FlowSchema, FlowSchemaCondition } from "#shared/api/types/flowcontrol-v1.generated.ts";
import type { ObjectMeta } from "#shared/api/types/meta-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { timestamp } from "#shared/client/clock.ts";
import { type ControllerContext, defineController, watching } from "#shared/client/controller.ts";
import { equalStatus } from "../controllers/equal-status.ts";
import { autoUpdateAnnotation, bootstrapConfiguration, mandatoryNames } from "./bootstrap-configuration.ts";

interface Configured {
  readonly metadata: ObjectMeta;
  readonly spec: object;
}

const schemaPrefix = "flowschema/";
const levelPrefix = "prioritylevel/";

/**
 * Keeps the objects by which the API server shares itself out (KEP-1040): those of the start come back when they are
 * deleted, specs that people may not or did not take over are kept as they were, and a FlowSchema says whether its
 * priority level is there.
 */
export const flowControlConfiguration = defineController({
  name: "priority-and-fairness-config",
  watches: [
    watching(flowSchemas, { enqueue: ({ metadata }) => [`${schemaPrefix}${metadata.name}`] }),
    watching(priorityLevelConfigurations, {
      enqueue: ({ metadata }, { lister }) => [
        `${levelPrefix}${metadata.name}`,
        ...lister(flowSchemas)
          .list()
          .filter(({ spec }) => spec.priorityLevelConfiguration.name === metadata.name)
          .map((schema) => `${schemaPrefix}${schema.metadata.name}`),
      ],
    }),
  ],
  start({ queue }) {
    for (const { metadata } of bootstrapConfiguration.priorityLevels) queue.add(`${levelPrefix}${metadata.name}`);
    for (const { metadata } of bootstrapConfiguration.flowSchemas) queue.add(`${schemaPrefix}${metadata.name}`);
  },
  async reconcile(key, context) {
    if (key.startsWith(levelPrefix)) {
      const wanted = bootstrapConfiguration.priorityLevels.find(named(key.slice(levelPrefix.length)));
      if (wanted) await keep(context, priorityLevelConfigurations, wanted);
      return;
    }
    const isThis = named(key.slice(schemaPrefix.length));
    const wanted = bootstrapConfiguration.flowSchemas.find(isThis);
    if (wanted && (await keep(context, flowSchemas, wanted))) return;
    const schema = context.lister(flowSchemas).get(key.slice(schemaPrefix.length));
    if (schema) await tellDangling(context, schema);
  },
});

const named =
  (name: string) =>
  ({ metadata }: Configured): boolean =>
    metadata.name === name;

/** True when something was written; the event of that comes back here. */
async function keep<T extends KubeObject & Configured>(
  { client, lister }: Pick<ControllerContext, "client" | "lister">,
  ref: ResourceRef<T>,
  wanted: T,
): Promise<boolean> {
  const present = lister(ref).get(wanted.metadata.name ?? "");
  if (!present) {
    await createOnce(client, ref, wanted);
    return true;
  }
  const revised = revision(present, wanted);
  if (!revised) return false;
  await client.update(ref, revised, { fieldManager: specManager });
  return true;
}

async function createOnce<T>(client: Client, ref: ResourceRef<T>, wanted: T): Promise<void> {
  try {
    await client.create(ref, wanted, { fieldManager: specManager });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}

/** The object as it is to be, or undefined where it is so. Pure. */
function revision<T extends Configured>(present: T, wanted: T): T | undefined {
  const { annotations = {}, generation, name = "" } = present.metadata;
  const said = annotations[autoUpdateAnnotation];
  const isKept = mandatoryNames.has(name) || (said === "true" || said === "false" ? said === "true" : generation === 1);
  const isSame = !isKept || equalStatus(present.spec, wanted.spec);
  if (isSame && said === String(isKept)) return undefined;
  return {
    ...present,
    metadata: { ...present.metadata, annotations: { ...annotations, [autoUpdateAnnotation]: String(isKept) } },
    spec: isSame ? present.spec : wanted.spec,
  };
}

/** As upstream's: by these names specs and the condition are managed. */
const specManager = "api-priority-and-fairness-config-producer-v1";
const statusManager = "api-priority-and-fairness-config-consumer-v1";

async function tellDangling({ client, lister, clock }: ControllerContext, schema: FlowSchema): Promise<void> {
  const level = schema.spec.priorityLevelConfiguration.name;
  const present = lister(priorityLevelConfigurations).get(level) !== undefined;
  const reference = `This FlowSchema references the PriorityLevelConfiguration object named ${JSON.stringify(level)}`;
  const condition: FlowSchemaCondition = {
    type: "Dangling",
    status: present ? "False" : "True",
    reason: present ? "Found" : "NotFound",
    message: `${reference} ${present ? "and it exists" : "but there is no such object"}`,
  };
  const conditions = schema.status?.conditions ?? [];
  const old = conditions.find(({ type }) => type === condition.type);
  if (old && equalStatus({ ...old, lastTransitionTime: undefined }, condition)) return;
  const at = old && old.status === condition.status ? old.lastTransitionTime : timestamp(clock);
  const { apiVersion, kind, metadata } = schema;
  const { name } = metadata;
  const body = {
    apiVersion,
    kind,
    metadata: { name },
    status: { conditions: [{ ...condition, lastTransitionTime: at }] },
  };
  await client.patch(
    flowSchemas,
    { name: name ?? "" },
    { type: "apply", body, force: true },
    { subresource: "status", fieldManager: statusManager },
  );
}
