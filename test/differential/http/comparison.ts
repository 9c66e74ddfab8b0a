import { sendGroup, type Target, type WireRequest } from "../wire/request.ts";
import { customSetting, type RawGroup, setting } from "./asking.ts";
import { exchange } from "./exchange.ts";
import { type ComparedAnswer, comparedAnswer } from "./raw-answer.ts";

const AT_ONCE = 16;
/** Until a defined kind is asked for again. */
const SERVED_AGAIN_MS = 100;

/** Makes what the requests find, where it is not there. */
export async function prepare(target: Target): Promise<void> {
  const made = async ({ name }: WireRequest, _: string, response: Response | undefined): Promise<void> => {
    if (response?.status !== 201 && response?.status !== 409)
      throw new Error(`${name}: ${response?.status} ${await response?.text()}`);
  };
  await sendGroup(target, setting, made);
  let isServed = false;
  while (!isServed)
    await sendGroup(target, customSetting, async (request, sent, response) => {
      isServed = response?.status !== 404;
      if (isServed) await made(request, sent, response);
      else await Bun.sleep(SERVED_AGAIN_MS);
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
