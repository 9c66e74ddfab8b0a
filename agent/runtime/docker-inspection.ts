import type Docker from "dockerode";
import { ifFound } from "./docker-errors.ts";
import { KeptDetails } from "./kept-details.ts";

type Details = Docker.ContainerInspectInfo;

const parallelInspects = 8;

/** What `docker inspect` says of containers. */
export class Inspections extends KeptDetails<Details, string> {
  constructor(docker: Docker) {
    super(async (id) => {
      const details = await ifFound(`inspect container ${id}`, () => docker.getContainer(id).inspect());
      return details && { state: details.State.Status, details };
    });
  }

  /** Details of all that are listed, by id; without those that vanished meanwhile. */
  async ofAll(listed: readonly Docker.ContainerInfo[]): Promise<Map<string, Details>> {
    const details = new Map<string, Details>();
    const waiting = [...listed];
    const inspectNext = async (): Promise<void> => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        const found = await this.of(next.Id, next.State);
        if (found !== undefined) details.set(next.Id, found);
      }
    };
    await Promise.all(Array.from({ length: Math.min(parallelInspects, listed.length) }, inspectNext));
    return details;
  }
}
