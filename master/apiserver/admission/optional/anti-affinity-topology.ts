import { pods } from "#shared/api/resources.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission.ts";
import { draftOf, refusal } from "../attributes.ts";

const allowed = "kubernetes.io/hostname";

/** A pod may keep others off its board, but not off a whole zone. */
export class LimitPodHardAntiAffinityTopology implements AdmissionPlugin {
  readonly name = "LimitPodHardAntiAffinityTopology";
  readonly resources = [pods];

  validate(attributes: AdmissionAttributes): undefined {
    const antiAffinity = draftOf(attributes, pods)?.spec?.affinity?.podAntiAffinity;
    const other = antiAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.find(
      ({ topologyKey }) => topologyKey !== allowed,
    );
    if (other)
      throw refusal(
        attributes,
        `affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey ${other.topologyKey} but only key ${allowed} is allowed`,
      );
  }
}
