% Stands in for NIMH MonkeyLogic: calls a userloop, puts its TaskObjects on an imaginary screen, runs its timing script, until the userloop asks for block -1.
% What a screen and a digital port would do it says in lines on standard output:
%   lit IMAGE PRESENTATION    the image is on the screen      blank    it is not      code N    a word on the digital port      trial N ERROR
% Knows nothing about Evoked but what the userloop does.
function run_monkeylogic(breakShare, lookAwayShare, seed)
  global ML
  rand('twister', seed);
  ML = struct('breakShare', breakShare, 'lookAwayShare', lookAwayShare, 'objects', {{}}, 'isOn', [], 'error', NaN, 'record', mltrialrecord());
  config = struct('PixelsPerDegree', [36.2 36.2]);
  evoked_userloop(config, ML.record);
  while true
    ML.record.CurrentTrialNumber = ML.record.CurrentTrialNumber + 1;
    [objects, timingfile] = evoked_userloop(config, ML.record);
    if ML.record.NextBlock == -1, break, end
    make_objects(objects);
    ML.error = NaN;
    run_timing(timingfile, ML.record);
    if any(ML.isOn(2:end)), error('expected the timing script to take its images off the screen'); end
    if isnan(ML.error), error('expected the timing script to call trialerror'); end
    say('trial %d %d', ML.record.CurrentTrialNumber, ML.error);
    pause(0.1);
  end
  say('ended');
end

function run_timing(timingfile, TrialRecord)
  eval(regexprep(timingfile, '\.m$', ''));
end

function make_objects(list)
  global ML
  ML.objects = {}; ML.isOn = false(1, numel(list));
  for k = 1:numel(list)
    parts = regexp(list{k}, '^(\w+)\((.*)\)$', 'tokens', 'once');
    arguments = strsplit(parts{2}, ',');
    object = struct('kind', parts{1}, 'imageId', 0, 'presentationId', 0);
    if strcmp(object.kind, 'pic')
      % As MonkeyLogic: the file is read when the trial is made. The name says which image it is to the imaginary screen.
      if numel(arguments) ~= 5 || any(isnan(cellfun(@str2double, arguments(2:5)))), error('expected pic(file,x,y,width,height), got %s', list{k}); end
      entry = ML.record.User.trial(k - 1);
      if ~strcmp(hash('sha256', read_bytes(arguments{1})), entry.sha256), error('expected %s to have the hash of the manifest', arguments{1}); end
      object.imageId = sscanf(regexp(arguments{1}, 'image-(\d+)\.png$', 'tokens', 'once'){1}, '%d');
      object.presentationId = entry.presentationId;
      if object.imageId ~= entry.imageId, error('expected image %d, got %s', entry.imageId, arguments{1}); end
    elseif ~strcmp(object.kind, 'fix')
      error('expected fix or pic, got %s', list{k});
    end
    ML.objects{k} = object;
  end
end

function bytes = read_bytes(path)
  file = fopen(path, 'r');
  if file < 0, error('expected a file at %s', path); end
  bytes = fread(file, Inf, '*char')';
  fclose(file);
end
