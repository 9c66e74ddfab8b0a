import { sendGroup, type Target } from "../wire/request.ts";
import { type RawGroup, setting } from "./asking.ts";
import { exchange } from "./exchange.ts";
import { type ComparedAnswer, comparedAnswer } from "./raw-answer.ts";

const AT_ONCE = 16;

/** Makes what the requests find, where it is not there. */
export async function prepare(target: Target): Promise<void> {
  await sendGroup(target, setting, async ({ name }, _, response) => {
    if (response?.status !== 201 && response?.status !== 409)
      throw new Error(`${name}: ${response?.status} ${await response?.text()}`);
  });
}

/** The answers to a group by the names of its requests. */
export async function answersTo(
  target: Target,
  { requests }: RawGroup,
  failed: (failure: unknown) => void,
): Promise<Map<string, ComparedAnswer>> {
  const answers = new Map<string, ComparedAnswer>();
  const waiting = [...requests];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      try {
        answers.set(next.name, await comparedAnswer(next, await exchange(target, next)));
      } catch (failure) {
        failed(failure);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return answers;
}
