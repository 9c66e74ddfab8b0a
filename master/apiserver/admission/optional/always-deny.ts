import type { AdmissionAttributes, AdmissionPlugin } from "../admission.ts";
import { refusal } from "../attributes.ts";

/** Refuses every write and every connection, the server's own included: of use where a cluster is only to be looked at. */
export class AlwaysDeny implements AdmissionPlugin {
  readonly name = "AlwaysDeny";
  readonly mutatesOn = ["DELETE", "CONNECT"] as const;
  readonly seesConnections = true;

  mutate(attributes: AdmissionAttributes): never {
    return this.validate(attributes);
  }

  validate(attributes: AdmissionAttributes): never {
    throw refusal(attributes, "admission control is denying all modifications");
  }
}
