import { isAlreadyExists, isConflict, isNotFound } from "#shared/api/errors.ts";
import { csiNodes, nodes } from "#shared/api/resources.ts";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import type { CSINode, CSINodeDriver } from "#shared/api/types/storage-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { NodeInfo } from "./csi-messages.ts";

const nodeIdAnnotation = "csi.volume.kubernetes.io/nodeid";
const attempts = 5;

/** What the API knows of the drivers on this board: the CSINode, and of the Node topology labels and an annotation. */
export class CsiNodeInfo {
  /** Changes come one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    readonly client: Client,
    readonly nodeName: string,
  ) {}

  /** The board's CSINode is there, if only without drivers. */
  ensure(): Promise<void> {
    return this.#serially(() => this.#write((drivers) => drivers));
  }

  /** A driver serves here. Rejects when its topology is at odds with labels that the Node has. */
  publish(name: string, info: NodeInfo): Promise<void> {
    if (info.nodeId === "") throw new Error("NodeGetInfo returned an empty node ID");
    return this.#serially(async () => {
      await this.#describeNode(name, info.nodeId, { ...info.accessibleTopology?.segments });
      await this.#put(entryOf(name, info));
    });
  }

  /** A driver that serves here says something else of the board than before. */
  update(name: string, info: NodeInfo): Promise<void> {
    return this.#serially(() => this.#put(entryOf(name, info)));
  }

  /** In its place, so that nothing is written where nothing has changed. */
  #put(entry: CSINodeDriver): Promise<void> {
    return this.#write((drivers) =>
      drivers.some(({ name }) => name === entry.name)
        ? drivers.map((each) => (each.name === entry.name ? entry : each))
        : [...drivers, entry],
    );
  }

  /** A driver serves here no more. */
  withdraw(name: string): Promise<void> {
    return this.#serially(async () => {
      await this.#describeNode(name, undefined, {});
      await this.#write((drivers) => drivers.filter((each) => each.name !== name));
    });
  }

  #serially<T>(task: () => Promise<T>): Promise<T> {
    const next = this.#last.then(task, task);
    this.#last = next.catch(() => undefined);
    return next;
  }

  async #describeNode(driver: string, nodeId: string | undefined, segments: Record<string, string>): Promise<void> {
    const node = await this.client.get(nodes, { name: this.nodeName });
    const { labels = {}, annotations = {} } = node.metadata;
    for (const [key, value] of Object.entries(segments)) {
      if (labels[key] !== undefined && labels[key] !== value) {
        const text = `detected topology value collision: driver reported "${key}":"${value}" but existing label is "${key}":"${labels[key]}"`;
        throw new Error(text);
      }
    }
    const ids = nodeIdsOf(annotations[nodeIdAnnotation]);
    if (nodeId === undefined) delete ids[driver];
    else ids[driver] = nodeId;
    const text = Object.keys(ids).length === 0 ? null : JSON.stringify(ids);
    const newLabels = Object.entries(segments).filter(([key]) => labels[key] === undefined);
    if (newLabels.length === 0 && (annotations[nodeIdAnnotation] ?? null) === text) return;
    const body = {
      metadata: { labels: Object.fromEntries(newLabels), annotations: { [nodeIdAnnotation]: text } },
    };
    await this.client.patch(nodes, { name: this.nodeName }, { type: "merge", body });
  }

  async #write(change: (drivers: readonly CSINodeDriver[]) => readonly CSINodeDriver[]): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const present = await this.#read();
        const before = present?.spec.drivers ?? [];
        const after = [...change(before)];
        if (present && JSON.stringify(after) === JSON.stringify(before)) return;
        if (present) await this.client.update(csiNodes, { ...present, spec: { ...present.spec, drivers: after } });
        else await this.client.create(csiNodes, await this.#newCsiNode(after));
        return;
      } catch (error) {
        if (attempt === attempts || !(isConflict(error) || isAlreadyExists(error))) throw error;
      }
    }
  }

  async #read(): Promise<CSINode | undefined> {
    try {
      return await this.client.get(csiNodes, { name: this.nodeName });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #newCsiNode(drivers: CSINodeDriver[]): Promise<CSINode> {
    const node: Node = await this.client.get(nodes, { name: this.nodeName });
    const { name = "", uid = "" } = node.metadata;
    return {
      apiVersion: "storage.k8s.io/v1",
      kind: "CSINode",
      metadata: { name, ownerReferences: [{ apiVersion: "v1", kind: "Node", name, uid }] },
      spec: { drivers },
    };
  }
}

function entryOf(name: string, { nodeId, accessibleTopology, maxVolumesPerNode }: NodeInfo): CSINodeDriver {
  return {
    name,
    nodeID: nodeId,
    topologyKeys: Object.keys(accessibleTopology?.segments ?? {}).toSorted(),
    ...(maxVolumesPerNode > 0 ? { allocatable: { count: Math.min(maxVolumesPerNode, 2 ** 31 - 1) } } : {}),
  };
}

/** Node IDs by driver, as the annotation has them; what is no such thing counts as none. */
function nodeIdsOf(text: string | undefined): Record<string, string> {
  if (text === undefined) return {};
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null ? { ...(parsed as Record<string, string>) } : {};
  } catch {
    return {};
  }
}
