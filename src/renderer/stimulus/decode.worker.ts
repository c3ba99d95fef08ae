// Gets and decodes images off the thread that draws. Knows nothing but decode.ts.
import { answerJob, fetchPixels, pixelsOfText, type WorkerMessage } from "./decode.ts";
import { ok } from "../../shared/result.ts";

let address = "";

self.onmessage = ({ data }: MessageEvent<WorkerMessage>) => {
  if (data.kind === "source") {
    address = data.address;
    return;
  }
  const { job, pixels } = data;
  void answerJob(job, pixels === null ? fetchPixels(address, job.imageId) : Promise.resolve(ok(pixelsOfText(pixels)))).then((answer) => self.postMessage(answer, { transfer: answer.bitmap === null ? [] : [answer.bitmap] }));
};
