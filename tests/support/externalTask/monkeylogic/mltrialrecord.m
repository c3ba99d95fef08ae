% What MonkeyLogic hands to a userloop and to a timing script: a handle, so that what one writes the other reads.
classdef mltrialrecord < handle
  properties
    User = struct();
    CurrentTrialNumber = 0;
    NextBlock = 1;
  end
end
