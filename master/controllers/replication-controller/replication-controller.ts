import { replicationControllers } from "#shared/api/resources.ts";
import { LabelSelector, labelSelectorOfMap } from "#shared/api/selector/label-selector.ts";
import { replicaController } from "../replicaset/replica-controller.ts";

/** Keeps the number of pods that a ReplicationController asks for. */
export const replicationControllerController = replicaController({
  name: "replication-controller",
  ref: replicationControllers,
  // Without a selector there is nothing that could be its own.
  selectorOf: ({ spec }) => (spec?.selector ? labelSelectorOfMap(spec.selector) : LabelSelector.nothing),
  templateOf: ({ spec }) => spec?.template,
  tellsTerminating: false,
});
