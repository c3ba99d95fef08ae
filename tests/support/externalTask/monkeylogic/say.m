function say(varargin)
  printf([varargin{1} '\n'], varargin{2:end});
  fflush(stdout);
end
