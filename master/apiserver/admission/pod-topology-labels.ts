import { nodes, pods } from "#shared/api/resources.ts";
import type { Binding } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "./admission.ts";
import { draftOf, isWriteTo } from "./attributes.ts";

const copied = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"] as const;

/** A pod learns zone and region of its node as labels when it is bound (KEP-4742). A Binding's labels are laid on the
 *  pod by whoever serves it. */
export class PodTopologyLabels implements AdmissionPlugin {
  readonly name = "PodTopologyLabels";
  readonly resources = [pods, { group: "", plural: "bindings" }];

  constructor(private readonly reader: ResourceReader) {}

  async mutate(attributes: AdmissionAttributes): Promise<void> {
    if (attributes.operation !== "CREATE") return;
    const pod = draftOf(attributes, pods);
    if (pod?.spec?.nodeName) return this.#label(pod.metadata, pod.spec.nodeName);
    const isBinding =
      isWriteTo(attributes, pods, "binding") || isWriteTo(attributes, { group: "", plural: "bindings" });
    const binding = isBinding ? (attributes.object as unknown as Binding | undefined) : undefined;
    if (binding?.target.kind === "Node") this.#label(binding.metadata, binding.target.name ?? "");
  }

  #label(metadata: { labels?: { [key: string]: string } | undefined }, nodeName: string): void {
    const labels = this.reader.get(nodes, { name: nodeName })?.metadata.labels ?? {};
    const found = copied.flatMap((key) => (labels[key] === undefined ? [] : [[key, labels[key]] as const]));
    if (found.length > 0) metadata.labels = { ...metadata.labels, ...Object.fromEntries(found) };
  }
}
