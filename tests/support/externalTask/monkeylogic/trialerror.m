function trialerror(code)
  global ML
  ML.error = code;
end
