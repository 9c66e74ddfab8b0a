import { fieldsOf, type KubeObject } from "#shared/api/object.ts";

/**
 * What is kept of an object (pure): all that is needed to go on with the master away, and nothing that changes without
 * meaning, since each change would be a write to the card. The resourceVersion goes too: what the server says of the
 * object later is always newer.
 */
export function durableForm(object: KubeObject): KubeObject {
  const { managedFields: _, resourceVersion: __, generation: ___, ...metadata } = object.metadata;
  const fields = fieldsOf(object);
  const status = fields["status"];
  return {
    ...object,
    metadata,
    ...(isRecord(status) ? { status: durableStatus(status, object.kind) } : {}),
  } as KubeObject;
}

function durableStatus(status: Record<string, unknown>, kind: string): Record<string, unknown> {
  const { conditions } = status;
  const kept = kind === "Node" ? without(status, ["images", "volumesInUse"]) : { ...status };
  if (Array.isArray(conditions))
    kept["conditions"] = conditions.map((one) =>
      isRecord(one) ? without(one, ["lastHeartbeatTime", "lastProbeTime"]) : one,
    );
  return kept;
}

const without = (record: Record<string, unknown>, names: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(Object.entries(record).filter(([name]) => !names.includes(name)));

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
